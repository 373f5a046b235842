"""Exact top-N of inner products on CPUs: the n best sources of each user, without looking at every pair.

The score of a pair is the inner product, added up in float64 in one fixed order and rounded to float32 once
(`kernel.dot`); it depends on the two vectors only, never on blocks, threads or the order of users. Lists are ordered by
that score, ties by smaller source row. How the work is avoided (after LEMP, Teflioudi, Gemulla, Mykytiuk 2015):

1. `SourceIndex` sorts the sources by the norm of their vectors, longest first.
2. `rank_top_n` walks the sources in that order, a block of users against a block of sources at a time. By
   Cauchy–Schwarz a score is at most |user| · |source|, so a user whose worst kept score is above |user| · (largest norm
   that is left) is finished and leaves the block.
3. A matrix product (BLAS, float32) gives approximate scores; `kernel.push_candidates` computes the real score only
   where the approximate one could pass the worst kept score, given a proved bound on its error (`bounds`).

Memory is bounded by the block, not by users × sources. The compiled code is cached; where the package lies in a
read-only place, or several workers start at once, set NUMBA_CACHE_DIR to a folder per host. Use one BLAS thread per
worker (`threadpoolctl.threadpool_limits(1)`) when workers share the machine.
"""

from models.ranking.index import SourceIndex
from models.ranking.rank import TopN, rank_top_n

__all__ = ["SourceIndex", "TopN", "rank_top_n"]
