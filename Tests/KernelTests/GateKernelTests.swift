// GateKernelTests: gates for each sample against their twin, in both element types, and clearing. Not here: gates for a batch (RengaExecutionTests).
import CRengaKernels
import XCTest

final class GateKernelTests: XCTestCase {
    private struct GateCase {
        var n = 3
        var pixels: Int
        var c: Int
        var split: Int
        var add = false
        var relu = false
        var inPlace = false

        func run(_ isa: rk_isa, _ threads: Int32, gates: [Float], src: [Float], residual: [Float]) -> [Float] {
            let (x, g, r) = (Floats(src), Floats(gates), Floats(residual))
            let dst = inPlace ? r : Floats(count: src.count, repeating: .nan)
            var arguments = rk_gate_args()
            (arguments.isa, arguments.n, arguments.pixels) = (isa, Int64(n), Int64(pixels))
            (arguments.c, arguments.split) = (Int64(c), Int64(split))
            (arguments.gates, arguments.src) = (g.readable, x.map)
            if add { arguments.add = r.map }
            (arguments.relu, arguments.dst) = (relu ? 1 : 0, dst.mutableMap)
            runStep(rk_gate, arguments, threads: threads)
            assertIntact([x, g, r, dst], "\(self)")
            return dst.values
        }
    }

    func testMatchesTheTwinOnAnyTeamAndReadsNothingClosed() {
        let gates: [Float] = [1, 0, 0, 0, 1, 1]
        for (pixels, c, split) in [(1, 1, 1), (5, 7, 3), (12, 16, 16), (9, 33, 20), (64, 18, 1)] {
            var random = TestRandom(pixels + c)
            var src = random.floats(3 * pixels * c)
            let residual = random.floats(3 * pixels * c)
            for index in src.indices where gates[2 * (index / (pixels * c)) + (index % c < split ? 0 : 1)] == 0 {
                src[index] = .nan
            }
            for (add, relu, inPlace) in [(false, false, false), (true, true, false), (true, false, true)] {
                let test = GateCase(pixels: pixels, c: c, split: split, add: add, relu: relu, inPlace: inPlace)
                let twin = test.run(RK_ISA_REFERENCE, 1, gates: gates, src: src, residual: residual)
                XCTAssertTrue(twin.allSatisfy(\.isFinite))
                if !add {
                    for index in src.indices { XCTAssertEqual(twin[index], src[index].isNaN ? 0 : src[index]) }
                }
                forEachSetAndTeam { isa, threads, name in
                    let found = test.run(isa, threads, gates: gates, src: src, residual: residual)
                    assertClose(found, twin, 1e-6, "\(name): \(test)")
                }
            }
        }
    }

    func testClearsAllBytesAndNoMore() {
        for bytes in [0, 1, 63, 1024, 5003] {
            for threads: Int32 in [1, 2, 3] {
                let block = Guarded<UInt8>(count: bytes, repeating: 0xA5)
                runStep(rk_clear, rk_clear_args(bytes: Int64(bytes), dst: block.pointer), threads: threads)
                XCTAssertTrue(block.values.allSatisfy { $0 == 0 })
                XCTAssertTrue(block.isIntact, "\(bytes) bytes")
            }
        }
    }
}
