"""The delivery worker: claim, commit, send, settle. What to send and when, the database says.

One dispatcher waits for work on a session of its own and extends leases; each of some threads
takes a subscription that has work, claims a batch, sends it with no transaction open, and settles.
A slow endpoint delays nothing but itself: its batches are cut to what it takes in time, and the
last free thread is not for it.
"""

from pgpublish.deliver.calls import claim, register_sink, settle
from pgpublish.deliver.redrive import redrive_job
from pgpublish.deliver.shared import Delivered
from pgpublish.deliver.worker import run

__all__ = ["Delivered", "claim", "redrive_job", "register_sink", "run", "settle"]
