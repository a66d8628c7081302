"""Steps of the transformer's training: what is hidden, what is learnt, and that resuming is exact."""

import numpy as np
import pytest
import torch

pytest.importorskip("f5_tts")
pytestmark = pytest.mark.f5

from ishowtts.engines.f5.architecture import Model  # noqa: E402
from ishowtts.engines.f5.checkpoint import read_vocab  # noqa: E402
from ishowtts.engines.f5.stock import build_cfm  # noqa: E402
from ishowtts.engines.voices.shelf import f5_tts_data  # noqa: E402
from voice_training.dataset.corpus import Corpus, NewClip, pack_path, write_pack  # noqa: E402
from voice_training.flow import flow_trainer  # noqa: E402
from voice_training.flow.flow_trainer import FlowTrainer  # noqa: E402
from voice_training.flow.recipe import FlowRecipe  # noqa: E402
from voice_training.flow.utterances import UtteranceSampler  # noqa: E402

VOCAB = read_vocab(f5_tts_data("infer/examples/vocab.txt"))
CPU = torch.device("cpu")
RECIPE = FlowRecipe.model_validate(
    {
        "arch": {
            "dim": 64, "depth": 1, "heads": 1, "ff_mult": 1, "text_dim": 16, "conv_layers": 1,
            "text_embedding_average_upsampling": True,
        },
        "steps": 100, "batch_s": 3, "short_s": 1, "longest_s": 2, "learning_rate": 3e-3, "warmup_steps": 0,
        "log_every": 1,
    }
)  # fmt: skip


@pytest.fixture(scope="module")
def utterances(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    time = np.arange(16_000) / 24_000
    clips = [
        NewClip(text, "en", "anna", (0.3 * np.sin(2 * np.pi * hz * time)).astype(np.float32))
        for text, hz in (("low.", 150.0), ("mid.", 700.0), ("high.", 3000.0))
    ]
    write_pack(pack_path(folder, 0), clips)
    return UtteranceSampler(Corpus(folder), VOCAB, CPU)


def training(utterances, seed=1, **changes):
    return FlowTrainer(RECIPE.model_copy(update=changes), utterances, VOCAB, CPU, seed)


def losses(one, steps):
    return [one.train_step()["loss"] for _ in range(steps)]


def test_the_loss_falls(utterances):
    found = losses(training(utterances), 40)
    assert np.mean(found[-5:]) < 0.5 * found[0]


def test_a_step_depends_on_nothing_but_seed_and_number(utterances):
    first = losses(training(utterances), 3)
    assert losses(training(utterances), 3) == pytest.approx(first, rel=1e-4)
    assert losses(training(utterances, seed=2), 3) != pytest.approx(first, rel=1e-2)


def test_a_resumed_training_sees_what_an_unbroken_one_would(utterances):
    unbroken = training(utterances)
    losses(unbroken, 20)
    resumed = training(utterances, seed=1)
    resumed.resume(unbroken.state())
    assert resumed.step == 20
    # The same samples, noise and weights, but for what fp16 rounds off.
    assert losses(resumed, 1) == pytest.approx(losses(unbroken, 1), rel=1e-2)


def test_what_is_hidden_is_nearly_all_or_what_is_behind_the_first_clip(utterances):
    batch = utterances.batch(np.random.default_rng(0), 190, 20_000)
    frame = torch.arange(batch.mels.shape[1]).unsqueeze(0)
    noise = torch.Generator().manual_seed(0)
    spans = training(utterances, prefix=0.0)._hidden(batch, frame, noise)
    shares = spans.sum(1) / batch.lengths
    assert shares.min() > 0.68
    assert shares.max() <= 1.0
    assert shares.std() > 0.03
    behind = training(utterances, prefix=1.0)._hidden(batch, frame, noise)
    several = batch.firsts < batch.lengths
    wanted = (frame >= batch.firsts.unsqueeze(1)) & (frame < batch.lengths.unsqueeze(1))
    assert several.any()
    assert torch.equal(behind[several], wanted[several])
    assert behind[~several].any(1).all()  # a clip alone has a span hidden


def test_padding_and_what_is_shown_do_not_count(utterances, monkeypatch):
    """The loss of a model that is right where it counts and wrong everywhere else is zero."""
    one = training(utterances)
    batch = utterances.batch(np.random.default_rng(3), 190, 2000)
    seen = {}

    def right_where_hidden(x, cond, time, **_):
        at = time.view(-1, 1, 1)
        start = (x - at * batch.mels) / (1 - at)
        hidden = (cond == 0).all(-1) & (torch.arange(x.shape[1]) < batch.lengths.unsqueeze(1))
        seen["hidden"] = hidden.float().mean()
        return torch.where(hidden.unsqueeze(-1), batch.mels - start, torch.full_like(x, 1e3))

    monkeypatch.setattr(one, "_run", right_where_hidden)
    loss = one._loss(batch, np.random.default_rng(0), torch.Generator().manual_seed(0))
    assert float(loss) < 1e-3
    assert 0.3 < seen["hidden"] < 1.0


@pytest.mark.parametrize(("power", "mean"), [(1.0, 1 / 2), (2.0, 1 / 3)])
def test_times_are_a_power_of_a_uniform_number(utterances, monkeypatch, power, mean):
    one = training(utterances, time_power=power)
    batch = utterances.batch(np.random.default_rng(0), 70, 70 * 400)
    times = []
    monkeypatch.setattr(one, "_run", lambda x, time, **_: times.append(time) or torch.zeros_like(x))
    one._loss(batch, np.random.default_rng(0), torch.Generator().manual_seed(0))
    assert times[0].mean().item() == pytest.approx(mean, abs=0.05)


def test_what_is_exported_loads_into_upstreams_model(utterances):
    one = training(utterances)
    losses(one, 3)
    tensors = flow_trainer.export_weights(RECIPE, VOCAB, one.state())
    cfm = build_cfm(Model(arch=RECIPE.arch), VOCAB)
    cfm.load_state_dict(tensors)
    assert tensors["transformer.rotary_embed.inv_freq"].dtype is torch.float32
    assert tensors["transformer.proj_out.weight"].dtype is torch.float16


def test_a_state_of_another_shape_is_refused(utterances):
    other = training(utterances, arch=RECIPE.arch.model_copy(update={"ff_mult": 2}))
    with pytest.raises(ValueError, match="resume with the recipe"):
        other.resume(training(utterances).state())
    with pytest.raises(ValueError, match="no training of a transformer"):
        other.resume({})
