"""Which form runs where, and that its compiled code is found again."""

import subprocess
import sys

import pytest

from models.ranking import forms, walk_portable, walk_simd
from models.ranking.forms import FORMS

_RANK = """
import numpy as np
from models.ranking import SourceIndex, forms, lists, seeds, stop, walk_portable, walk_simd
from models.ranking.rank import rank_counted

draw = np.random.default_rng(0)
users, sources = (draw.standard_normal((rows, 16)).astype(np.float32) for rows in (300, 3000))
rank_counted(SourceIndex.build(sources), users, 10, None, forms.FORMS[{form!r}])
compiled = [walk_simd._walk, walk_portable._offer_candidates, seeds._fill, lists._write, stop.drop_finished]
print(sum(sum(function.stats.cache_misses.values()) for function in compiled))
print(sum(sum(function.stats.cache_hits.values()) for function in compiled))
"""


@pytest.mark.parametrize("form", sorted(FORMS))
def test_a_second_process_does_not_compile_again(form: str) -> None:
    for _ in range(2):
        ran = subprocess.run(
            [sys.executable, "-c", _RANK.format(form=form)], capture_output=True, text=True, check=True
        )
    misses, hits = (int(line) for line in ran.stdout.split())
    assert misses == 0
    assert hits >= 3


@pytest.mark.parametrize("missing", ["avx512f", "avx512bw", "avx512vl", "avx512vnni"])
def test_without_an_instruction_the_portable_form_runs(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    features = {"avx512f": True, "avx512bw": True, "avx512vl": True, "avx512vnni": True}
    monkeypatch.setattr(forms.llvm, "get_host_cpu_features", lambda: features)
    assert forms.walks()["simd"] is walk_simd.walk
    monkeypatch.setattr(forms.llvm, "get_host_cpu_features", lambda: features | {missing: False})
    assert forms.walks() == {"portable": walk_portable.walk}
