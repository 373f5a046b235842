"""Exact top-N of inner products on CPUs: the n best sources of each user, for less than the cost of all scores.

The score of a pair is the inner product, added up in float64 in one fixed order and rounded to float32 once
(`vectors.dot`); it depends on the two vectors only, never on blocks, threads or the order of users. Lists are ordered
by that score, ties by smaller source row. Most pairs are never scored, and many not even looked at:

1. `SourceIndex` sorts the sources by the norm of their vectors, longest first. By Cauchy–Schwarz a score is at most
   |user| · |source|: a user whose n-th best score so far, its bar, is above |user| · (largest norm that is left) is
   finished (`stop`; after LEMP: Teflioudi, Gemulla, Mykytiuk 2015). How early depends on how soon the bar is high.
2. So bars are high from the start: users of a call are clustered, and each is scored against what the centre of its
   cluster would get (`seeds`). That leaves little more than the n best to be found.
3. What is left is screened without being scored. With AVX-512 and VNNI, vectors of 8-bit integers are multiplied, 64
   pairs of numbers per instruction; the proved bound on what 8 bits can be wrong by (`panels`, `rotation`) says what a
   sum must reach for the score to reach the bar. On other CPUs a matrix product in float32 does the same with its own
   bound (`rounding`). `forms` chooses; both give the same lists, bit for bit.
4. The few pairs that pass are scored and enter the user's list (`lists`), which raises its bar.
5. Sources that a user must not get are bits, taken out of a panel's candidates before these are scored (`exclusions`).
   Users all of whose scores round to 0 get the smallest rows at once.

Calls of some thousand users are efficient: the cost of clusters is shared by their members, and by the calls that
follow in the same process. Memory is the index, which
processes share when it is mapped, and for a call a block of bits of at most 64 MiB, 4 bytes for each source and a few
arrays of its users; never users × sources. Compiled code is cached; where the package lies in a read-only place, or
several workers start at once, set NUMBA_CACHE_DIR to a folder per host. Use one BLAS thread per worker
(`threadpoolctl.threadpool_limits(1)`) when workers share the machine.

A GPU would take the place of a walk: upload the index's factors once, and for each block of users and sources a matrix
product (cupy or torch, float32 without TF32), a comparison with the users' bars less the bound of `rounding`, and a
compaction of what passes; scores, bars and lists stay here. At 11 million sources of 64 factors that is 2.8 GB on the
device. The saving of the 8-bit screen would be lost; pairs that are never looked at cost nothing on either.
"""

from models.ranking.index import SourceIndex
from models.ranking.rank import TopN, rank_top_n

__all__ = ["SourceIndex", "TopN", "rank_top_n"]
