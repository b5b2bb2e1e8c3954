"""Sharpening: the critic and the student pull on the same pairs, and only where they should."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
import torch

from hypernoise.shapes.training.adversarial import Duel, build_critic, duel_losses
from hypernoise.shapes.training.student import STUDENT_GUIDANCE, jump
from hypernoise.shapes.training.teacher import Denoiser
from hypernoise.shapes.vocabulary import tokenize

if TYPE_CHECKING:
    from hypernoise.generators.shapes import ShapesGenerator

TEXTS = ["a photo of a ring", "a photo of a red star"]


@pytest.fixture(scope="module")
def student(generator: ShapesGenerator) -> Denoiser:
    """The bundled student as the trainings hold it."""
    model = Denoiser()
    model.text.load_state_dict(generator.text_encoder.state_dict())
    model.transformer.load_state_dict(generator.denoiser.state_dict())
    return model.eval().requires_grad_(requires_grad=False)


@torch.no_grad()
def test_the_jump_from_noise_is_what_the_generator_decodes(
    student: Denoiser, generator: ShapesGenerator
) -> None:
    noise = torch.randn(2, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    assert generator.sampler.guidance_scale == STUDENT_GUIDANCE
    clean = jump(student, noise, torch.ones(2), student.text(torch.from_numpy(tokenize(TEXTS))))
    images = generator.generate(noise, generator.encode(TEXTS))
    torch.testing.assert_close(generator.sampler.decode(clean), images, atol=1e-4, rtol=0)


def test_critic_and_student_pull_in_opposite_directions(student: Denoiser) -> None:
    torch.manual_seed(0)
    duel, text = Duel(student), student.text(torch.from_numpy(tokenize(TEXTS)))
    real, fake, times = (
        torch.randn(2, 8, 8, 8),
        torch.randn(2, 8, 8, 8, requires_grad=True),
        torch.full((2,), 0.3),
    )
    against, toward = duel_losses(duel, real, fake, times, text)
    (down,) = torch.autograd.grad(toward, fake, retain_graph=True)
    (up,) = torch.autograd.grad(against, fake)
    cosine = torch.nn.functional.cosine_similarity(down.flatten(), up.flatten(), dim=0)
    assert float(cosine) < -0.99


def test_a_critic_that_tells_real_from_fake_has_the_smaller_loss(student: Denoiser) -> None:
    torch.manual_seed(0)
    duel, text = Duel(student), student.text(torch.from_numpy(tokenize(TEXTS)))
    optimizer = torch.optim.Adam(
        [parameter for parameter in duel.critic.parameters() if parameter.requires_grad], 1e-3
    )
    real, fake, times = torch.zeros(2, 8, 8, 8), torch.ones(2, 8, 8, 8), torch.full((2,), 0.3)
    losses = []
    for _ in range(8):
        against, toward = duel_losses(duel, real, fake, times, text)
        losses.append((float(against.detach()), float(toward.detach())))
        optimizer.zero_grad()
        against.backward()
        optimizer.step()
    assert losses[-1][0] < 0.6 * losses[0][0]
    assert losses[-1][1] > losses[0][1]


def test_only_denoisers_are_trained_and_the_critic_starts_undecided(student: Denoiser) -> None:
    duel = Duel(student)
    trained = {name for name, parameter in duel.named_parameters() if parameter.requires_grad}
    assert trained == {name for name, _ in duel.named_parameters() if ".text." not in name}
    critic = build_critic(copy.deepcopy(student))
    noise = torch.randn(2, 8, 8, 8)
    text = student.text(torch.from_numpy(tokenize(TEXTS)))
    scores = critic.velocity(noise, torch.full((2,), 0.3), text).mean((1, 2, 3))
    assert scores.abs().max() < 0.2
