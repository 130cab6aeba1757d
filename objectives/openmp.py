"""How OpenMP's threads wait for each other: PyTorch computes with them on a processor. No torch.

As GNU's OpenMP comes, a thread that waits for others computes in an empty loop, so that it goes on at once when they
are done. Where another program wants their core that takes its time from both: beside one busy process two threads
lose far more than the half that is the neighbour's.
"""

from collections.abc import Mapping, MutableMapping

# By measurement (benchmarks/neighbours.py): it leaves most beside others, and costs a quiet machine next to nothing.
CHOSEN: Mapping[str, str] = {"GOMP_SPINCOUNT": "1000"}
# Whoever sets one of these has chosen: how long a thread spins, by any OpenMP, by GNU's, and by LLVM's and Intel's.
USERS = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def spin_briefly(environment: MutableMapping[str, str]) -> None:
    """Settles it for a process that loads PyTorch afterwards, and for those that it starts, unless the user has.

    >>> environment = {"PATH": "/bin"}
    >>> spin_briefly(environment)
    >>> environment
    {'PATH': '/bin', 'GOMP_SPINCOUNT': '1000'}
    >>> spin_briefly(environment := {"OMP_WAIT_POLICY": "active"})
    >>> environment
    {'OMP_WAIT_POLICY': 'active'}
    """
    if not any(name in environment for name in USERS):
        environment.update(CHOSEN)
