"""The process that speaks with Ray: `python -m search.engines.cluster.driver`, as
search.engines.cluster.crew starts it.

It says nothing but its answers, whatever Ray prints; it ends its workers in order when its standard
input closes.
"""

import os
import signal
import sys
import threading
from contextlib import suppress
from queue import SimpleQueue

from search.engines.cluster.messages import Answer, read_hello, read_orders, written
from search.engines.cluster.placement import ClusterRefused
from storage.text import on_one_line


def main() -> int:
    """Speaks with Ray until there is nothing left to do, or whoever started it is gone."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    lines: SimpleQueue[str] = SimpleQueue()
    over = threading.Event()
    threading.Thread(target=_read, args=(lines, over), daemon=True).start()
    if not (first := lines.get()):
        return 0
    hello = read_hello(first)
    _hush(hello.debug)
    from search.engines.cluster.connecting import connected

    def answer(what: Answer) -> None:
        # Where whoever listened is gone, the workers are ended all the same.
        with suppress(BrokenPipeError):
            answers.write(written(what))

    try:
        with connected(hello) as cluster:
            # Ray has set a handler of its own.
            signal.signal(signal.SIGTERM, lambda number, frame: over.set())
            answer(Answer(ready=cluster.description))
            if second := lines.get():
                from search.engines.cluster.seating import Seating

                Seating(cluster, read_orders(second), answer).work(over)
    except ClusterRefused as refused:
        answer(Answer(refused=str(refused), exit_code=refused.exit_code))
    # Ray may raise whatever it likes: its head is gone, say.
    except Exception as error:
        answer(Answer(over=f"Ray: {on_one_line(str(error) or repr(error))}", exit_codes=[1]))
        raise
    return 0


def _read(lines: "SimpleQueue[str]", over: threading.Event) -> None:
    """The lines of standard input; an empty one, and `over`, where it has ended."""
    for line in sys.stdin:
        lines.put(line)
    over.set()
    lines.put("")


def _hush(debug: bool) -> None:
    """Nothing that Ray prints, from Python or from C++, is anybody's output."""
    where = os.dup(2) if debug else os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(where, number)


if __name__ == "__main__":
    sys.exit(main())
