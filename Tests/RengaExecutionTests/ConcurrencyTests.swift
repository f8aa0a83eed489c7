// ConcurrencyTests.swift: sessions in several threads at once, apart and shared.
import Glibc
import RengaExecution
import RengaNetwork
import TestSupport
import XCTest

final class ConcurrencyTests: XCTestCase {
    /// Calls `body` in `count` threads at once and waits for all.
    private func inThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        final class Job: Sendable {
            let index: Int
            let body: @Sendable (Int) -> Void
            init(_ index: Int, _ body: @escaping @Sendable (Int) -> Void) { (self.index, self.body) = (index, body) }
        }
        var threads: [pthread_t] = []
        for index in 0..<count {
            var thread = pthread_t()
            let job = Unmanaged.passRetained(Job(index, body)).toOpaque()
            let status = pthread_create(
                &thread, nil,
                { pointer in
                    guard let pointer else { return nil }
                    let job = Unmanaged<Job>.fromOpaque(pointer).takeRetainedValue()
                    job.body(job.index)
                    return nil
                }, job)
            XCTAssertEqual(status, 0)
            threads.append(thread)
        }
        for thread in threads { pthread_join(thread, nil) }
    }

    func testSessionsInThreads() throws {
        let network = try Cases.blocks()[0].network
        var options = SessionOptions()
        (options.batch, options.threads) = (4, 2)
        options.serialWhereSmall = false
        let shared = try Session(network, options)
        var random = TestRandom(2)
        let images = random.floats(4 * 6 * 7 * 3)
        let expected = try shared.run([images], n: 4)[0]
        let sessions = try (0..<2).map { _ in try Session(network, options) }
        inThreads(4) { index in
            for round in 0..<20 {
                // Threads 0 and 1 have a session each, 2 and 3 share one and ask for different batches.
                let session = index < 2 ? sessions[index] : shared
                let n = index < 2 ? 4 : (round + index) % 4 + 1
                let some = Array(images.prefix(images.count / 4 * n))
                let result = try? session.run([some], n: n)[0]
                XCTAssertEqual(result, Array(expected.prefix(expected.count / 4 * n)))
            }
        }
    }
}
