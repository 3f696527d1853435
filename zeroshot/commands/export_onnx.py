"""Write a trained model as an ONNX file, which runs without PyTorch and without this project."""

import pathlib


def main(*, model: pathlib.Path, out: pathlib.Path, check: bool = True) -> None:
    """Write a trained model as an ONNX file, which runs without PyTorch and without this project.

    Input `images`: (1, 3, H, W) uint8, RGB, of any size from 16 to 4096. Output `labels`: (1, H, W) int64. The metadata entry `classes`
    has the names in label order as JSON. Large images are not shrunk and not cut into tiles.

    Args:
        model: the model file, such as models/zs3net.pt.
        out: the ONNX file.
        check: compare the labels of a random image in onnxruntime with those of PyTorch.
    """
    import numpy as np

    from zeroshot.base import errors
    from zeroshot.prediction import model as model_file
    from zeroshot.prediction import onnx_export, segmenter

    content = model_file.read(model)
    onnx_export.write(out, content)
    print(f"{out}: {out.stat().st_size / 2**20:.1f} MiB")
    if check:
        image = np.random.default_rng(0).integers(0, 256, (123, 210, 3), dtype=np.uint8)
        torch_labels = segmenter.predict(image, model_file.load(model), segmenter.Options(side=0)).labels
        agreement = float(np.mean(onnx_export.run(out, image) == torch_labels))
        print(f"labels equal to PyTorch's: {100 * agreement:.2f} % of pixels")
        if agreement < onnx_export.LEAST_AGREEMENT:
            raise errors.UserError(f"{out}: differs from the model")
