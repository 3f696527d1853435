"""A conditional Wasserstein GAN with gradient penalty: the paper's generator, trained by a critic instead of MMD (section 3.2).

The paper gives no settings and cites Xian et al., Feature Generating Networks for Zero-Shot Learning (CVPR 2018). As their f-CLSWGAN,
the generator also learns from a softmax classifier of real features. The critic is that of Gulrajani et al., Improved Training of
Wasserstein GANs (NIPS 2017).
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from zeroshot.base import params, training
from zeroshot.cache import pools
from zeroshot.zs3net.generators import generator, mlp

# Of Adam. Low momentum, since generator and critic change each other's loss.
_BETAS = (0.5, 0.9)


@params.section
class Params:
    """The section `gmmn.gan`; see params.yaml."""

    critic_hidden_dim: params.Count
    critic_steps: params.Count
    gradient_penalty: params.NonNegative
    classification: params.NonNegative
    lr: params.Positive


class Critic(nn.Module):
    """D(x, a): a score (...,), higher for a more realistic feature x (..., feature_dim) of a class embedding a (..., embedding_dim)."""

    def __init__(self, embedding_dim: int, feature_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(feature_dim + embedding_dim, hidden_dim), nn.LeakyReLU(0.2), nn.Linear(hidden_dim, 1)
        )

    def forward(self, features: torch.Tensor, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the scores."""
        return self.layers(torch.cat([features, embeddings], dim=-1)).squeeze(-1)


class GAN(mlp.MLP):
    """The perceptron, trained against a critic and, with `classification`, to be told apart by a classifier of real features."""

    lr_key = "gmmn.gan.lr"

    def epochs(self, real: pools.Pool, context: Any) -> Iterator[dict[str, Any]]:
        """Train generator and critic alternately, on all classes in every step; `context` is not used.

        Yields:
            after each epoch {epoch, loss, gradient_penalty}, means over the critic's steps. The loss is the critic's estimate of the
            Wasserstein distance, averaged over classes. The penalty is not multiplied by its weight.
        """
        options = self.options
        settings: Params = self.section()
        random = torch.Generator().manual_seed(options.seed)
        classifier = pretrain(real, options, settings.lr).to(self.device) if settings.classification else None
        training.seed_torch(options.seed, 1)
        critic = Critic(self.embeddings.shape[1], real.features.shape[1], settings.critic_hidden_dim).to(self.device)
        generator_optimizer = torch.optim.Adam(self.parameters(), lr=settings.lr, betas=_BETAS)
        critic_optimizer = torch.optim.Adam(critic.parameters(), lr=settings.lr, betas=_BETAS)
        labels = real.labels[:, None].expand(-1, options.batch_per_class)
        conditions = self.embeddings[labels.to(self.device)]
        for epoch in range(options.epochs):
            totals = torch.zeros(2)
            for step in range(options.steps_per_epoch):
                for _ in range(settings.critic_steps):
                    x, mask = (tensor.to(self.device) for tensor in pools.batch(real, options.batch_per_class, random))
                    with torch.no_grad():
                        fake = self.sample(labels, random)
                    wasserstein = distance(critic, x, fake, conditions, mask)
                    mixing = torch.rand(*x.shape[:2], 1, generator=random).to(x.device)
                    penalty = gradient_penalty(critic, fake.lerp(x, mixing), conditions, mask)
                    training.check_finite(wasserstein.item(), "gmmn", epoch, step, GAN.lr_key)
                    totals += torch.tensor([wasserstein.item(), penalty.item()])
                    critic_optimizer.zero_grad()
                    (settings.gradient_penalty * penalty - wasserstein).backward()
                    critic_optimizer.step()
                fake = self.sample(labels, random)
                loss = -critic(fake, conditions).mean()
                if classifier is not None:
                    loss = loss + settings.classification * classification_loss(classifier, fake)
                generator_optimizer.zero_grad()
                loss.backward()
                generator_optimizer.step()
            loss, penalty = (totals / (options.steps_per_epoch * settings.critic_steps)).tolist()
            yield {"epoch": epoch, "loss": loss, "gradient_penalty": penalty}


def pretrain(real: pools.Pool, options: generator.Options, lr: float) -> nn.Linear:
    """Return a softmax classifier of the c classes of `real`, which does not learn any more (Xian et al., section 3.2).

    It learns on the CPU with Adam, from as many batches as the generator of options.batch_per_class features of every class.
    """
    classifier = nn.Linear(real.features.shape[1], len(real.labels))
    for parameter in classifier.parameters():
        nn.init.zeros_(parameter)
    random = torch.Generator().manual_seed(options.seed)
    optimizer = torch.optim.Adam(classifier.parameters(), lr=lr)
    for epoch in range(options.epochs):
        for step in range(options.steps_per_epoch):
            x, _ = pools.batch(real, options.batch_per_class, random)
            loss = classification_loss(classifier, x)
            training.check_finite(loss.item(), "gmmn", epoch, step, GAN.lr_key)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return classifier.requires_grad_(False)


def classification_loss(classifier: nn.Module, features: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy of features (c, n, d), n of each of the c classes in the order of the classifier's outputs."""
    labels = torch.arange(len(features), device=features.device).repeat_interleave(features.shape[1])
    return functional.cross_entropy(classifier(features.flatten(0, 1)), labels)


def distance(
    critic: nn.Module, x: torch.Tensor, fake: torch.Tensor, conditions: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Return mean D(x, a) - mean D(fake, a), averaged over classes: the Wasserstein distance for the optimal 1-Lipschitz D.

    Args:
        critic: D.
        x: (c, n, d) float32, real features.
        fake: (c, n, d) float32.
        conditions: (c, n, d_a) float32, class embeddings.
        mask: (c, n) bool, which rows of x count.
    """
    return _class_mean(critic(x, conditions), mask) - critic(fake, conditions).mean()


def gradient_penalty(
    critic: nn.Module, between: torch.Tensor, conditions: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Return the mean of (|dD/dx| - 1)^2 at `between`, points on lines from synthetic to real features; shapes as in `distance`."""
    between = between.requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between, conditions).sum(), between, create_graph=True)
    return _class_mean((gradient.norm(dim=-1) - 1).square(), mask)


def _class_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean over classes of the means of `values` (c, n) where `mask`."""
    return ((values * mask).sum(1) / mask.sum(1)).mean()
