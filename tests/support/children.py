"""Forked children: what they end with, and the moments at which a signal ends them."""

import os
import signal
import sys
import time
import traceback
import warnings


def forked(call, *arguments):
    """The process id of a child that makes a call: it exits with 0 where that is true, and else with 1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # NumPy's BLAS keeps a thread
        pid = os.fork()
    if pid:
        return pid
    status = 2
    try:
        status = 0 if call(*arguments) else 1
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
    finally:
        os._exit(status)


def wait_for(pid, seconds=30):
    """The exit code of a child process, or minus a signal's number; ends one that takes longer: None."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def in_child(call, *arguments):
    """The exit code of a forked process that makes a call: 0 where that is true."""
    return wait_for(forked(call, *arguments))


def signalled(signum, seconds, call, *arguments):
    """The exit code of a child that makes a call, and is sent a signal after so many seconds."""
    pid = forked(call, *arguments)
    time.sleep(seconds)
    os.kill(pid, signum)
    return wait_for(pid)
