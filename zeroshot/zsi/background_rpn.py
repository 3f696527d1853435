"""BA-RPN: a head of torchvision's region proposal network whose objectness is a product with learned rows of background and foreground."""

from typing import Literal

import torch
from torch import nn
from torch.nn import functional
from torchvision.models.detection import rpn


class BackgroundAwareHead(nn.Module):
    """Head of the background-aware RPN (Zheng et al., section 3.3).

    Each place of a map has one semantic vector z, shared by its anchors. Anchor a has a background row and a foreground row, and
    objectness is z.(w_fg - w_bg). Its sigmoid is the softmax of (z.w_bg, z.w_fg), and its binary cross-entropy that of the softmax, so
    torchvision's RegionProposalNetwork is used as it is. The paper has two rows; the released code has two for each anchor, as here.

    Args:
        in_channels: c, channels of every map.
        n_anchors: a, anchors of a place.
        background: (d,) float32 initial background vector.
        init: initial foreground rows: `released`, normal with deviation 1, or `unit`, the same rows scaled to length 1.
    """

    def __init__(
        self, in_channels: int, n_anchors: int, background: torch.Tensor, init: Literal["unit", "released"]
    ) -> None:
        super().__init__()
        dim = len(background)
        self.conv = nn.Conv2d(in_channels, in_channels, 3, padding=1)
        self.semantic = nn.Conv2d(in_channels, dim, 1)
        self.deltas = nn.Conv2d(in_channels, 4 * n_anchors, 1)
        for name, parameter in self.named_parameters():
            nn.init.zeros_(parameter) if name.endswith("bias") else nn.init.normal_(parameter, std=0.01)
        rows = torch.randn(n_anchors, dim)
        self.foreground_rows = nn.Parameter(functional.normalize(rows) if init == "unit" else rows)
        self.background_rows = nn.Parameter(background.repeat(n_anchors, 1))

    def background(self) -> torch.Tensor:
        """Return v_b (d,), the mean of the background rows, without a gradient: only the loss of the RPN changes it.

        Algorithm 1 of the paper reads as if all losses did. In the released code, too, the copies have no gradient.
        """
        return self.background_rows.detach().mean(dim=0)

    def forward(self, maps: list[torch.Tensor]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Return objectness (b, a, h, w) and box deltas (b, 4 a, h, w), float32, for each map (b, c, h, w)."""
        rows = (self.foreground_rows - self.background_rows)[:, :, None, None]
        objectness, deltas = [], []
        for level in maps:
            hidden = functional.relu(self.conv(level))
            objectness.append(functional.conv2d(self.semantic(hidden), rows).float())
            deltas.append(self.deltas(hidden).float())
        return objectness, deltas


class StockHead(rpn.RPNHead):
    """Torchvision's head of the RPN, the ablation without BA-RPN; outputs are float32 under autocast, too."""

    def forward(self, x: list[torch.Tensor]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Return what `BackgroundAwareHead.forward` does."""
        objectness, deltas = super().forward(x)
        return [level.float() for level in objectness], [level.float() for level in deltas]
