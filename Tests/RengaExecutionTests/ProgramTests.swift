// ProgramTests.swift: arguments stay where they are and can be patched; buffers fail softly.
import CRengaKernels
import RengaExecution
import RengaNetwork
import XCTest

final class ProgramTests: XCTestCase {
    private func sum(_ a: UnsafeMutablePointer<Float>, _ b: UnsafeMutablePointer<Float>, _ count: Int) -> rk_sum_args {
        var args = rk_sum_args()
        (args.isa, args.count, args.terms, args.scale) = (RK_ISA_REFERENCE, Int64(count), 2, 1)
        (args.src.0, args.src.1, args.dst) = (UnsafePointer(a), UnsafePointer(b), a)
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
        XCTAssertEqual(program.profile(threads: 1, runs: 2).count, 3)
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
