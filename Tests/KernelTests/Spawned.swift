// Spawned: threads of tests. Not here: teams (rk_run).
import Glibc

/// A POSIX thread that answers yes or no.
final class Spawned {
    private final class Box {
        let body: () -> Bool
        var answer = false
        init(_ body: @escaping () -> Bool) { self.body = body }
    }
    private let box: Box
    private var thread = pthread_t()

    init?(_ body: @escaping () -> Bool) {
        box = Box(body)
        let passed = Unmanaged.passRetained(box)
        let failed = pthread_create(
            &thread, nil,
            { raw in
                guard let raw else { return nil }
                let box = Unmanaged<Box>.fromOpaque(raw).takeRetainedValue()
                box.answer = box.body()
                return nil
            }, passed.toOpaque())
        if failed != 0 {
            passed.release()
            return nil
        }
    }

    func join() -> Bool { pthread_join(thread, nil) == 0 && box.answer }
}
