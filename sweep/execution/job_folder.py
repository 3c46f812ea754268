"""Where the processes of a job stand: Ray may put a job's folder up anew, which takes it away."""

from __future__ import annotations

import os

import ray


def leave_job_folder() -> None:
    """Have this actor, and the ranks it forks, work in a folder that stays.

    Outside of jobs the working folder is the user's, and relative names of files begin there.
    """
    if ray.get_runtime_context().runtime_env.get("working_dir"):
        # Nobody else's: Python looks for modules where a rank server is started.
        os.chdir("/")
