// Gate.swift: who is at work in a trainer: others are told that it is busy instead of waiting for hours.
// Not here: the trainer's own lock, which Swift hosts wait at.
import Glibc
import RengaExecution
import RengaNetwork

/// Lets one thread in; the same thread again where the call may nest (a callback that reads its trainer).
final class Gate: @unchecked Sendable {
    private let lock = Lock()
    private var owner = pthread_t()
    private var depth = 0

    /// Goes in, or says who is in there.
    func enter(mayNest: Bool) throws(RengaError) {
        try lock.locked { () throws(RengaError) in
            if depth > 0 {
                guard pthread_equal(owner, pthread_self()) != 0 else {
                    throw RengaError(.busy, "trainer is at work in another thread")
                }
                guard mayNest else {
                    throw RengaError(
                        .busy,
                        "trainer is at work: its own callback may only call renga_trainer_network, _history, _memory and _save"
                    )
                }
            }
            owner = pthread_self()
            depth += 1
        }
    }

    /// Goes out, once for each time in.
    func leave() {
        lock.locked { depth -= 1 }
    }
}
