"""Iterating over a consumer: what is handed out, what is done, and who commits it when.

A message is done when its loop asks for the next one. A loop may be left at any time, by `break` or by an
exception: the message that it had is not done, and the next loop begins with it. What is done is committed
by a thread that lives only as long as there is something to commit, and when the consumer is closed.
"""

from estela_queue_adapter.iteration.iteration import Iteration

__all__ = ["Iteration"]
