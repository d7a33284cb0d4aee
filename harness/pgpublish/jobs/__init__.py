"""Tracked jobs: run one, or work through those of some kinds that are due.

The database decides which job starts, who has it, and what a failure means; see publish_job_start.
Here a body of code runs between the start and its settling, while a thread keeps the lease.

 api       what is one call: add, list, cancel, limits, schedules
 job       what a body gets: its data, saves and steps
 running   a body between its start and its settling
 heart     the thread that keeps leases
 worker    handlers, one job after another
 session   calls on the job's connection
"""

from pgpublish.jobs.api import (
    activity,
    add,
    cancel,
    job_errors,
    limit,
    limits,
    listing,
    retry,
    schedule,
    schedules,
    steps,
    unschedule,
)
from pgpublish.jobs.heart import Heart, heart
from pgpublish.jobs.job import Job, Returned
from pgpublish.jobs.running import LEASE_S, start
from pgpublish.jobs.worker import (
    HANDLERS,
    Handler,
    Outcome,
    handler,
    require_handlers,
    walk,
    work,
)

__all__ = [
    "HANDLERS",
    "LEASE_S",
    "Handler",
    "Heart",
    "Job",
    "Outcome",
    "Returned",
    "activity",
    "add",
    "cancel",
    "handler",
    "heart",
    "job_errors",
    "limit",
    "limits",
    "listing",
    "require_handlers",
    "retry",
    "schedule",
    "schedules",
    "start",
    "steps",
    "unschedule",
    "walk",
    "work",
]
