// MemoryPlannerTests.swift: no two live buffers overlap, never below the bound, exact where the answer is known.
import RengaExecution
import RengaNetwork
import XCTest

final class MemoryPlannerTests: XCTestCase {
    private func request(_ first: Int, _ last: Int, _ bytes: Int) -> MemoryRequest {
        MemoryRequest(first: first, last: last, bytes: bytes)
    }

    private func check(_ requests: [MemoryRequest], alignment: Int, _ context: String) throws -> MemoryLayoutPlan {
        let plan = try MemoryPlanner.plan(requests, alignment: alignment)
        XCTAssertEqual(plan.offsets.count, requests.count, context)
        XCTAssertGreaterThanOrEqual(plan.peak, plan.lowerBound, context)
        for (i, a) in requests.enumerated() {
            XCTAssertEqual(plan.offsets[i] % alignment, 0, context)
            XCTAssertLessThanOrEqual(plan.offsets[i] + a.bytes, plan.peak, context)
            for (j, b) in requests.enumerated() where j > i && a.first <= b.last && b.first <= a.last {
                let apart =
                    plan.offsets[i] + a.bytes <= plan.offsets[j] || plan.offsets[j] + b.bytes <= plan.offsets[i]
                XCTAssertTrue(apart || a.bytes == 0 || b.bytes == 0, "\(context): \(a) and \(b) overlap")
            }
        }
        return plan
    }

    func testLiveBuffersNeverOverlap() throws {
        var random = RandomStream(seed: 7, purpose: .initialisation)
        for round in 0..<60 {
            let count = Int(random.word() % 50) + 1
            let requests = (0..<count).map { _ in
                let first = Int(random.word() % 40)
                return request(first, first + Int(random.word() % 12), Int(random.word() % 5000))
            }
            let plan = try check(requests, alignment: round % 2 == 0 ? 64 : 1, "round \(round)")
            let bound = (0..<60).map { step in
                requests.filter { $0.first <= step && step <= $0.last }
                    .reduce(0) { $0 + (round % 2 == 0 ? ($1.bytes + 63) / 64 * 64 : $1.bytes) }
            }
            XCTAssertEqual(plan.lowerBound, bound.max(), "round \(round)")
        }
    }

    func testAThousandBuffersAliveAtAnyTimeNeverOverlap() throws {
        var random = RandomStream(seed: 8, purpose: .initialisation)
        let requests = (0..<1000).map { _ in
            // Steps far apart and below zero, long and short lives.
            let first = Int(random.word() % 3000) * 1_000_003 - 1_000_000_000
            let steps = random.word() % 8 == 0 ? random.word() % 2000 : random.word() % 5
            return request(first, first + Int(steps) * 1_000_003, Int(random.word() % 5000))
        }
        _ = try check(requests, alignment: 64, "a thousand")
    }

    func testKnownPlansAreExact() throws {
        // A chain: two buffers at a time, taking turns.
        let chain = (0..<10).map { request($0, $0 + 1, 640) }
        XCTAssertEqual(try check(chain, alignment: 64, "chain").peak, 1280)
        // A residual: the shortcut stays while two more pass.
        let residual = [request(0, 3, 100), request(1, 2, 100), request(2, 3, 100), request(3, 4, 100)]
        XCTAssertEqual(try check(residual, alignment: 1, "residual").peak, 300)
        // The small one fits the gap that the larger left between two that stay.
        let gap = [request(0, 9, 50), request(0, 1, 30), request(0, 9, 40), request(2, 9, 30)]
        XCTAssertEqual(try check(gap, alignment: 1, "gap").peak, 120)
        let plan = try check([], alignment: 64, "empty")
        XCTAssertEqual(plan.peak, 0)
        XCTAssertEqual(plan.lowerBound, 0)
    }

    func testRefusesSizesBeyondMemory() {
        XCTAssertThrowsError(try MemoryPlanner.plan([request(0, 0, Int.max - 3)], alignment: 64))
        let half = Int.max / 2 - 200
        XCTAssertThrowsError(
            try MemoryPlanner.plan([request(0, 1, half), request(0, 1, half), request(0, 1, half)], alignment: 64))
    }
}
