"""What is tried: the defaults first, each choice alone, nothing that could change an answer unasked."""

from modelport.serverconfig import parse_batching
from modelport_client.tune.settings import DEFAULTS, candidates


def tried(**more):
    return candidates(
        **{"cores": 2, "bound_s": 0.02, "is_embedded": True, "may_batch": True, "largest_rows": 1, "seed": 0, **more}
    )


def test_the_defaults_come_first_and_each_choice_alone_before_any_two():
    settings = tried()
    assert settings[0] == DEFAULTS
    counts = [len(setting.choices) for setting in settings]
    assert counts == sorted(counts, key=lambda count: min(count, 2))
    assert len({setting.name for setting in settings}) == len(settings)
    first = {setting.choices[0].words.split()[-1] for setting in settings[1:4]}
    assert len(first) == 3, "with little time each question is asked"


def test_every_setting_is_one_that_a_server_reads():
    for setting in tried():
        assert all(flag.startswith("--") and "=" in flag for flag in setting.flags)
        is_batched = "--enable_batching=true" in setting.flags
        assert is_batched == (setting.batching is not None)
        if setting.batching is not None:
            parameters = parse_batching(setting.batching)
            assert parameters.max_batch_size >= 8
            assert parameters.batch_timeout_micros <= 20_000 * 0.1


def test_batches_have_room_for_the_largest_request():
    sizes = {
        parse_batching(setting.batching).max_batch_size
        for setting in tried(largest_rows=100)
        if setting.batching is not None
    }
    assert sizes == {100, 400, 1600}


def test_requests_are_joined_only_where_they_may_be():
    assert not any(setting.batching for setting in tried(may_batch=False))


def test_our_server_and_the_real_one_have_options_of_their_own():
    ours = {flag.split("=")[0] for setting in tried() for flag in setting.flags}
    theirs = {flag.split("=")[0] for setting in tried(is_embedded=False) for flag in setting.flags}
    assert {"--join_requests", "--run_threads"} <= ours - theirs
    assert {"--grpc_max_threads", "--grpc_channel_arguments"} <= theirs - ours


def test_the_flags_are_those_of_the_embedded_server():
    from modelport_serving.config import flags

    for setting in [*tried(), *tried(is_embedded=False)]:
        flags.parse(["--model_name=m", "--model_base_path=/m", *setting.flags])


def test_the_seed_draws_what_is_tried_together():
    assert tried() == tried()
    assert tried() != tried(seed=1)
    assert set(tried()) == set(tried(seed=1))
