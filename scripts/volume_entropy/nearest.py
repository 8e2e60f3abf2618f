"""What a word that is not known may have meant."""

import difflib
from collections.abc import Sequence

MANY = 20


def nearest(word: str, known: Sequence[str]) -> str:
    """Return `; did you mean X?`, or the list of what is known where nothing is near; of many the first few."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]}?"
    more = f" … ({len(known)})" if len(known) > MANY else ""
    return f"; known are {', '.join(known[:MANY])}{more}" if known else ""
