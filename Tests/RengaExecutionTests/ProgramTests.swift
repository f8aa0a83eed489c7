// ProgramTests.swift: arguments stay where they are and can be patched; buffers fail softly.
import CRengaKernels
import RengaExecution
import RengaNetwork
import XCTest

final class ProgramTests: XCTestCase {
    private func sum(_ a: UnsafeMutablePointer<Float>, _ b: UnsafeMutablePointer<Float>, _ count: Int) -> rk_sum_args {
        var args = rk_sum_args()
        (args.isa, args.count, args.terms, args.scale) = (RK_ISA_REFERENCE, Int64(count), 2, 1)
        (args.src.0, args.src.1, args.dst) = (UnsafeRawPointer(a), UnsafeRawPointer(b), UnsafeMutableRawPointer(a))
        return args
    }

    func testStepsRunInOrderAndCanBePatched() throws {
        let a = try Buffer(floats: 5, for: "a")
        let b = try Buffer(floats: 5, for: "b")
        for i in 0..<5 { (a.floats[i], b.floats[i]) = (Float(i), 1) }
        let program = Program()
        var kept: [UnsafeMutablePointer<rk_sum_args>] = []
        for _ in 0..<3 { kept.append(try program.add("sum", rk_sum, sum(a.floats, b.floats, 5))) }
        program.run(threads: 2)
        XCTAssertEqual((0..<5).map { a.floats[$0] }, [3, 4, 5, 6, 7])
        kept[1].pointee.scale = 0
        program.run(threads: 1)
        XCTAssertEqual((0..<5).map { a.floats[$0] }, [1, 1, 1, 1, 1])
        XCTAssertFalse(program.wasStopped)
        XCTAssertEqual(program.profile(threads: 1, runs: 2).count, 3)
        // The program holds addresses only.
        withExtendedLifetime((a, b)) {}
    }

    func testAStepCanEndTheRun() throws {
        let program = Program()
        let counts = try program.keep((ran: Int32(0), behind: Int32(0)))
        struct Cells {
            var stop: UnsafeMutablePointer<Int32>
            var counts: UnsafeMutablePointer<(ran: Int32, behind: Int32)>
        }
        let cells = Cells(stop: program.stop, counts: counts)
        try program.add(
            "stops",
            { args, team in
                guard let cells = args?.assumingMemoryBound(to: Cells.self).pointee, team?.pointee.tid == 0 else {
                    return
                }
                cells.counts.pointee.ran += 1
                if cells.counts.pointee.ran == 1 { cells.stop.pointee = 1 }
            }, cells)
        try program.add(
            "behind",
            { args, team in
                guard let cells = args?.assumingMemoryBound(to: Cells.self).pointee, team?.pointee.tid == 0 else {
                    return
                }
                cells.counts.pointee.behind += 1
            }, cells)
        program.run(threads: 2)
        XCTAssertTrue(program.wasStopped)
        XCTAssertEqual(counts.pointee.behind, 0)
        program.run(threads: 2)
        XCTAssertFalse(program.wasStopped)
        XCTAssertEqual(counts.pointee.behind, 1)
    }

    func testBuffersFailSoftly() throws {
        XCTAssertEqual(Int(bitPattern: try Buffer(bytes: 3, for: "x").base) % 64, 0)
        for count in [Int.max, Int.max / 4, -1] {
            XCTAssertThrowsError(try Buffer(floats: count, for: "everything")) { error in
                XCTAssertEqual((error as? RengaError)?.status, .outOfMemory)
            }
        }
    }
}
