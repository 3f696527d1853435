"""The zero-shot detector: features of regions, their semantic vectors, box deltas, and the reconstruction of the features."""

import torch
from torch import nn
from torch.nn import functional
from torchvision.models.detection import faster_rcnn

from zeroshot.zsi import sections

# Side of the pooled map of a region.
POOLED = 7
# The released code initialises the encoder with this standard deviation.
_RELEASED_STD = 0.001


class BoxHead(nn.Module):
    """Head of boxes (Zheng et al., section 3.2): features f, encoder to semantic vectors x, and decoder back to f.

    Scores of classes are x.w for fixed word vectors w, without bias, normalisation or temperature.

    The released code puts a fixed product with a vocabulary V of 4,717 words between the two layers of the encoder, and of the decoder.
    There is no non-linearity between them, so both are linear maps all the same, and two layers without V have the same functions. V
    changes the conditioning only, and its vectors were not published, so it is left out.

    Args:
        in_channels: c, channels of the feature maps.
        vectors: (k, d) float32 word vectors of all classes in label order, the background first. A buffer: training does not change them,
            except for row 0, which Sync-bg overwrites.
        n_seen: s, the number of seen classes, labels 1 to s.
        options: the section.

    Attributes:
        vectors: the word vectors.
        n_seen: s.
        n_columns: r, box regressors of a region: 1, or s + 1 for one of each seen class and the background.
    """

    def __init__(self, in_channels: int, vectors: torch.Tensor, n_seen: int, options: sections.BoxHead) -> None:
        super().__init__()
        self.n_seen = n_seen
        self.regression = options.regression
        self.n_columns = 1 if options.regression == "agnostic" else n_seen + 1
        self.vectors: torch.Tensor
        self.register_buffer("vectors", vectors.clone())
        dim = vectors.shape[1]
        self.shared = faster_rcnn.TwoMLPHead(in_channels * POOLED**2, options.hidden_dim)
        self.encoder = nn.Sequential(nn.Linear(options.hidden_dim, dim), nn.Linear(dim, dim))
        if options.init == "released":
            for name, parameter in self.encoder.named_parameters():
                nn.init.zeros_(parameter) if name.endswith("bias") else nn.init.normal_(parameter, std=_RELEASED_STD)
        self.regressor = nn.Linear(options.hidden_dim, 4 * self.n_columns)
        # The last part, so that all others have the same initial weights with and without it.
        self.decoder = None
        if options.reconstruction:
            self.decoder = nn.Sequential(nn.Linear(dim, dim), nn.Linear(dim, options.hidden_dim))

    def seen_vectors(self) -> torch.Tensor:
        """Return W_s (s + 1, d), the vectors of the background and the seen classes."""
        return self.vectors[: self.n_seen + 1]

    def features(self, pooled: torch.Tensor) -> torch.Tensor:
        """Return features f (n, hidden_dim) float32 of pooled regions (n, c, 7, 7)."""
        return self.shared(pooled).float()

    def semantics(self, features: torch.Tensor) -> torch.Tensor:
        """Return semantic vectors x (n, d) float32 of features (n, hidden_dim)."""
        return self.encoder(features).float()

    def deltas(self, features: torch.Tensor) -> torch.Tensor:
        """Return box deltas (n, r, 4) float32 of features (n, hidden_dim)."""
        return self.regressor(features).float().view(-1, self.n_columns, 4)

    def columns(self, labels: torch.Tensor) -> torch.Tensor:
        """Return the regressor, 0 to r - 1, that gives the box of each label (n,).

        The released code indexes class-specific regressors by an unseen class's own position, so that unseen class k gets the box of seen
        class k (`official`). One regressor for all classes has no such accident (`agnostic`).
        """
        if self.regression == "agnostic":
            return torch.zeros_like(labels)
        return torch.where(labels > self.n_seen, labels - self.n_seen, labels)

    def losses(
        self, features: torch.Tensor, labels: torch.Tensor, regression_targets: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Return the losses of sampled regions.

        Args:
            features: (n, hidden_dim).
            labels: (n,) int64, 0 for background, and seen classes.
            regression_targets: (n, 4) float32.

        Returns:
            classification: the softmax cross-entropy over background and seen classes; box: smooth L1 with beta 1, as in the released code;
            box_reconstruction: the mean squared error of the decoded features, if there is a decoder. None has its weight.
        """
        semantics = self.semantics(features)
        losses = {"classification": functional.cross_entropy(scores(semantics, self.seen_vectors()), labels)}
        positive = torch.nonzero(labels > 0)[:, 0]
        deltas = self.deltas(features)[positive, self.columns(labels[positive])]
        box = functional.smooth_l1_loss(deltas, regression_targets[positive], beta=1.0, reduction="sum")
        losses["box"] = box / labels.numel()
        if self.decoder is not None:
            losses["box_reconstruction"] = functional.mse_loss(self.decoder(semantics).float(), features)
        return losses


def scores(semantics: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Return the products (n, k) float32 of semantic vectors (n, d) and word vectors (k, d), in full precision under autocast, too."""
    with torch.autocast(semantics.device.type, enabled=False):
        return semantics.float() @ vectors.T
