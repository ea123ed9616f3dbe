import itertools
import pickle

import pytest

from opencd_gold.datasets import samplers
from opencd_gold.datasets.samplers import (
    Draw,
    SeededDefaultSampler,
    SeededInfiniteSampler,
    seed_of,
)


def _take(sampler, count):
    draws = list(itertools.islice(iter(sampler), count))
    return [int(draw) for draw in draws], [draw.seed for draw in draws]


def test_draw_is_an_index_that_keeps_its_seed():
    draw = pickle.loads(pickle.dumps(Draw(5, 17)))
    assert (draw, draw.seed) == (5, 17)
    assert [10, 20, 30, 40, 50, 60][draw] == 60
    assert ((draw - 2), (draw - 2).seed) == (3, 17)
    assert ((draw % 3), (draw % 3).seed) == (2, 17)


def test_seeds_follow_from_sampler_and_position():
    seeds = {seed_of(seed, i) for seed in range(20) for i in range(50)}
    assert len(seeds) == 1000
    assert seed_of(1, 2) == seed_of(1, 2)
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_infinite_sampler_permutes_every_pass():
    indices, seeds = _take(SeededInfiniteSampler(range(6), seed=1), 18)
    passes = [indices[i:i + 6] for i in range(0, 18, 6)]
    assert all(sorted(one) == list(range(6)) for one in passes)
    assert len({tuple(one) for one in passes}) > 1
    assert len(set(seeds)) == 18
    assert _take(SeededInfiniteSampler(range(6), seed=1), 18)[0] == indices
    assert _take(SeededInfiniteSampler(range(6), seed=2), 18)[0] != indices
    plain = SeededInfiniteSampler(range(3), shuffle=False, seed=0)
    assert _take(plain, 5)[0] == [0, 1, 2, 0, 1]


@pytest.mark.parametrize('done', [0, 1, 5, 6, 17, 1000])
def test_skipping_gives_the_rest_of_the_sequence(done):
    indices, seeds = _take(SeededInfiniteSampler(range(6), seed=1), done + 9)
    sampler = SeededInfiniteSampler(range(6), seed=1)
    sampler.skip(99)
    sampler.skip(done)
    assert _take(sampler, 9) == (indices[done:], seeds[done:])


def test_processes_share_one_sequence(monkeypatch):
    whole = _take(SeededInfiniteSampler(range(7), seed=3), 20)
    for rank in range(2):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info',
                            lambda rank=rank: (rank, 2))
        sampler = SeededInfiniteSampler(range(7), seed=3)
        sampler.skip(4)
        found = _take(sampler, 6)
        assert found == (whole[0][8 + rank:20:2], whole[1][8 + rank:20:2])


def test_default_sampler_gives_new_seeds_every_epoch():
    sampler = SeededDefaultSampler(range(5), seed=4)
    first = _take(sampler, 99)
    assert sorted(first[0]) == list(range(5))
    assert _take(sampler, 99) == first
    sampler.set_epoch(1)
    second = _take(sampler, 99)
    assert sorted(second[0]) == list(range(5))
    assert not set(first[1]) & set(second[1])


def test_default_sampler_over_two_processes(monkeypatch):
    found = []
    for rank in range(2):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info',
                            lambda rank=rank: (rank, 2))
        found.append(_take(SeededDefaultSampler(range(4), seed=4), 99))
    assert sorted(found[0][0] + found[1][0]) == list(range(4))
    expected = {samplers.seed_of(4, i) for i in range(4)}
    assert set(found[0][1] + found[1][1]) == expected


def test_refusals():
    with pytest.raises(ValueError, match='empty'):
        SeededInfiniteSampler([], seed=0)
    with pytest.raises(ValueError, match='found -1'):
        SeededInfiniteSampler(range(3), seed=0).skip(-1)
