"""Several processes that do the same, each started again when it is killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from threading import Event, Thread

from pgpublish.cli.console import fail, log
from pgpublish.errors import ConnectionFailed, PublishError
from pgpublish.terminal import say

LOOK_S = 0.2  # between two looks at whether to stop
MIN_DELAY_S = 0.1
MAX_DELAY_S = 10.0
STEADY_S = 60.0  # a process that lived for so long is started again without delay
REFUSED = 64  # and the exit code of its error: it need not be started again

FORK = multiprocessing.get_context("fork")


def run(count: int, body: Callable[[], None], stop: Event) -> None:
    """Runs body in `count` processes until stop is set in this one, and in them by SIGTERM.

    One that is killed, or finds no server, is started again, after a delay that grows as long as
    they die young. An error of one stops all, and is this command's exit code. If this process
    dies, they die with it. Call it while this process has no other thread: they are forked.
    """
    running: dict[ForkProcess, float] = {}
    delay, start_at, told, code = MIN_DELAY_S, 0.0, False, 0
    try:
        while running or not stop.is_set():
            now = time.monotonic()
            if stop.is_set() and not told:
                told = True
                for process in running:
                    process.terminate()
            while not stop.is_set() and len(running) < count and now >= start_at:
                process = FORK.Process(target=serve, args=(body,))
                process.start()
                running[process] = now
            wait([process.sentinel for process in running] or [], LOOK_S)
            for process in [p for p in running if not p.is_alive()]:
                lived = time.monotonic() - running.pop(process)
                ended = process.exitcode or 0
                if ended > REFUSED:
                    code = ended - REFUSED
                    stop.set()
                if stop.is_set():
                    continue
                delay = MIN_DELAY_S if lived >= STEADY_S else delay
                log(f"process {process.pid} {how(ended)}; another starts in {delay:.1f} s")
                start_at = time.monotonic() + delay
                delay = min(delay * 2, MAX_DELAY_S)
    except KeyboardInterrupt:
        os._exit(130)  # the second one; the processes notice that this one is gone
    finally:
        for process in running:
            process.kill()
    if code:
        raise SystemExit(code)


def how(ended: int) -> str:
    return f"was killed by signal {-ended}" if ended < 0 else f"ended with exit code {ended}"


def serve(body: Callable[[], None]) -> None:
    """In the process: an error that is none of the server's absence is said by the exit code."""
    Thread(target=end_with_parent, daemon=True).start()
    try:
        body()
    except ConnectionFailed as error:
        fail(error)
    except PublishError as error:
        try:
            fail(error)
        except SystemExit:
            sys.exit(REFUSED + error.exit_code)
    except BrokenPipeError:
        os._exit(REFUSED + 1)
    except Exception:
        say(traceback.format_exc(), err=True)
        sys.exit(REFUSED + 1)


def end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(128 + signal.SIGKILL)
