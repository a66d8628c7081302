"""Training of the transformer: hidden frames, loss, resuming, export, and upsampling of text."""

import numpy as np
import pytest
import torch

pytest.importorskip("f5_tts")
pytestmark = pytest.mark.f5

from ishowtts.engines.f5.architecture import ModelConfig  # noqa: E402
from ishowtts.engines.f5.upstream_model import DiT, build_cfm  # noqa: E402
from ishowtts.engines.f5.vocabulary import read_vocab  # noqa: E402
from ishowtts.engines.voices.voice_library import f5_tts_data  # noqa: E402
from voice_training.dataset.corpus import Corpus, NewClip, pack_path, write_pack  # noqa: E402
from voice_training.flow import flow_trainer  # noqa: E402
from voice_training.flow.flow_trainer import FlowTrainer, upsample_text  # noqa: E402
from voice_training.flow.utterances import UtteranceSampler  # noqa: E402
from voice_training.recipe import FlowRecipe  # noqa: E402

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


def trainer(utterances, seed=1, **changes):
    return FlowTrainer(RECIPE.model_copy(update=changes), utterances, VOCAB, CPU, seed)


def losses(one, steps):
    return [one.train_step()["loss"] for _ in range(steps)]


def test_the_loss_falls(utterances):
    found = losses(trainer(utterances), 40)
    assert np.mean(found[-5:]) < 0.5 * found[0]


def test_a_step_depends_only_on_seed_and_number(utterances):
    first = losses(trainer(utterances), 3)
    assert losses(trainer(utterances), 3) == pytest.approx(first, rel=1e-4)
    assert losses(trainer(utterances, seed=2), 3) != pytest.approx(first, rel=1e-2)


def test_a_resumed_training_equals_an_uninterrupted_one(utterances):
    unbroken = trainer(utterances)
    losses(unbroken, 20)
    resumed = trainer(utterances, seed=1)
    resumed.resume(unbroken.state())
    assert resumed.step == 20
    # The same samples and noise. The weights differ by the rounding to fp16.
    assert losses(resumed, 1) == pytest.approx(losses(unbroken, 1), rel=1e-2)


def test_a_long_span_or_everything_after_the_first_clip_is_hidden(utterances):
    batch = utterances.batch(np.random.default_rng(0), 190, 20_000)
    frame = torch.arange(batch.mels.shape[1]).unsqueeze(0)
    noise = torch.Generator().manual_seed(0)
    spans = trainer(utterances, prefix=0.0)._hidden(batch, frame, noise)
    shares = spans.sum(1) / batch.lengths
    assert shares.min() > 0.68
    assert shares.max() <= 1.0
    assert shares.std() > 0.03
    after_first = trainer(utterances, prefix=1.0)._hidden(batch, frame, noise)
    several = batch.firsts < batch.lengths
    wanted = (frame >= batch.firsts.unsqueeze(1)) & (frame < batch.lengths.unsqueeze(1))
    assert several.any()
    assert torch.equal(after_first[several], wanted[several])
    assert after_first[~several].any(1).all()  # in a sample of one clip, a span is hidden


def test_the_loss_ignores_padding_and_visible_frames(utterances, monkeypatch):
    """The loss is zero for a model that is right in hidden frames and wrong everywhere else."""
    one = trainer(utterances)
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
def test_times_are_a_power_of_a_uniform_random_number(utterances, monkeypatch, power, mean):
    one = trainer(utterances, time_power=power)
    batch = utterances.batch(np.random.default_rng(0), 70, 70 * 400)
    times = []
    monkeypatch.setattr(one, "_run", lambda x, time, **_: times.append(time) or torch.zeros_like(x))
    one._loss(batch, np.random.default_rng(0), torch.Generator().manual_seed(0))
    assert times[0].mean().item() == pytest.approx(mean, abs=0.05)


def test_exported_weights_load_into_upstreams_model(utterances):
    one = trainer(utterances)
    losses(one, 3)
    tensors = flow_trainer.export_weights(RECIPE, VOCAB, one.state())
    cfm = build_cfm(ModelConfig(arch=RECIPE.arch), VOCAB)
    cfm.load_state_dict(tensors)
    assert tensors["transformer.rotary_embed.inv_freq"].dtype is torch.float32
    assert tensors["transformer.proj_out.weight"].dtype is torch.float16


def test_the_state_of_another_model_is_refused(utterances):
    other = trainer(utterances, arch=RECIPE.arch.model_copy(update={"ff_mult": 2}))
    with pytest.raises(ValueError, match="resume with the recipe"):
        other.resume(trainer(utterances).state())
    with pytest.raises(ValueError, match="not one of a transformer"):
        other.resume({})


TOKENS_AND_FRAMES = [(3, 10), (4, 8), (7, 9), (5, 5), (1, 12), (0, 6), (11, 23)]


def text_encoder(tokens, dim):
    torch.manual_seed(0)
    dit = DiT(
        dim=16, depth=1, heads=1, text_num_embeds=tokens, text_dim=dim, conv_layers=2,
        text_embedding_average_upsampling=True,
    )  # fmt: skip
    return dit.text_embed


def test_upsampling_equals_upstreams_loop():
    frames = max(length for _, length in TOKENS_AND_FRAMES)
    lengths = torch.tensor([length for _, length in TOKENS_AND_FRAMES])
    is_token = torch.arange(frames) < torch.tensor([count for count, _ in TOKENS_AND_FRAMES]).unsqueeze(1)
    rows = torch.randn(len(TOKENS_AND_FRAMES), frames, 4, generator=torch.Generator().manual_seed(0))
    wanted = text_encoder(tokens=10, dim=4).average_upsample_text_by_mask(rows, is_token, lengths)
    assert torch.equal(upsample_text(rows, is_token, lengths), wanted)


@pytest.mark.parametrize("drop_text", [False, True])
def test_the_text_encoder_with_our_upsampling_equals_upstreams(drop_text):
    encoder = text_encoder(tokens=20, dim=16)
    text = torch.randint(0, 20, (3, 9))
    text[1, 5:] = text[2, 2:] = -1
    lengths = torch.tensor([30, 25, 17])
    wanted = encoder(text, lengths, drop_text=drop_text)
    encoder.average_upsample_text_by_mask = upsample_text
    assert torch.equal(encoder(text, lengths, drop_text=drop_text), wanted)
