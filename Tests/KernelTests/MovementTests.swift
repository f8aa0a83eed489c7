// MovementTests: transpositions, gathers and resizing, in both element types, against their twins and by identities.
import CRengaKernels
import XCTest

final class MovementTests: XCTestCase {
    // MARK: Transposition

    private func transposed(
        _ isa: rk_isa, _ src: [Float], n: Int, rows: Int, c: Int, onto before: [Float]? = nil, _ type: rk_type,
        threads: Int32 = 1
    ) -> [Float] {
        let (from, to) = (TestMap(src, type), TestMap(before ?? [Float](repeating: .nan, count: src.count), type))
        let args = rk_transpose_args(
            isa: isa, type: type, n: Int64(n), rows: Int64(rows), c: Int64(c), src: from.readable,
            accumulate: before == nil ? 0 : 1, dst: to.pointer)
        runStep(rk_transpose, args, threads: threads)
        assertIntact([from, to])
        return to.values
    }

    func testTranspositions() {
        for type in elementTypes {
            for (n, rows, c) in [(1, 1, 1), (2, 3, 5), (3, 16, 16), (1, 17, 33), (2, 49, 3), (1, 2, 300)] {
                var random = TestRandom(rows + c)
                let src = TestMap(random.floats(n * rows * c), type).values
                let expected = (0..<src.count).map { at in
                    src[(at / rows / c * rows + at % rows) * c + at / rows % c]
                }
                let sums = transposed(RK_ISA_REFERENCE, src, n: n, rows: rows, c: c, onto: src, type)
                assertSameBits(transposed(RK_ISA_REFERENCE, src, n: n, rows: rows, c: c, type), expected, "twin")
                forEachSetAndTeam { isa, threads, name in
                    let found = transposed(isa, src, n: n, rows: rows, c: c, type, threads: threads)
                    assertSameBits(found, expected, name)
                    assertSameBits(transposed(isa, found, n: n, rows: c, c: rows, type, threads: threads), src, name)
                    let sum = transposed(isa, src, n: n, rows: rows, c: c, onto: src, type, threads: threads)
                    assertSameBits(sum, sums, name)
                }
            }
        }
    }

    // MARK: Gather

    private struct Gather {
        let n: Int
        let from: [Int], tables: [[Int32]]
        let type: rk_type

        var to: [Int] { tables.enumerated().map { $1.isEmpty ? from[$0] : $1.count } }
        var count: Int { n * from.reduce(1, *) }
        var resultCount: Int { n * to.reduce(1, *) }

        private func arguments(_ isa: rk_isa, _ kept: [Guarded<Int32>]) -> rk_gather_args {
            var args = rk_gather_args()
            (args.isa, args.type, args.n, args.value) = (isa, type, Int64(n), 7)
            (args.h, args.w, args.c) = (Int64(from[0]), Int64(from[1]), Int64(from[2]))
            (args.oh, args.ow, args.oc) = (Int64(to[0]), Int64(to[1]), Int64(to[2]))
            (args.rows, args.columns) = (kept[0].readable, kept[1].readable)
            args.channels = tables[2].isEmpty ? nil : kept[2].readable
            return args
        }

        func forward(_ isa: rk_isa, _ src: [Float], threads: Int32 = 1) -> [Float] {
            let kept = tables.map { Guarded<Int32>($0) }
            let (map, dst) = (TestMap(src, type), TestMap(count: resultCount, type, repeating: .nan))
            var args = arguments(isa, kept)
            (args.src, args.dst) = (map.readable, dst.pointer)
            runStep(rk_gather, args, threads: threads)
            assertIntact([map, dst])
            assertIntact(kept)
            return dst.values
        }

        func backward(_ isa: rk_isa, _ ddst: [Float], onto before: [Float]? = nil, threads: Int32 = 1) -> [Float] {
            let kept = tables.map { Guarded<Int32>($0) }
            let d = TestMap(ddst, type)
            let dsrc = TestMap(before ?? [Float](repeating: .nan, count: count), type)
            let args = rk_gather_backward_args(
                forward: arguments(isa, kept), ddst: d.readable, accumulate: before == nil ? 0 : 1, dsrc: dsrc.pointer)
            runStep(rk_gather_backward, args, threads: threads)
            assertIntact([d, dsrc])
            assertIntact(kept)
            return dsrc.values
        }
    }

    func testGathersMatchTheTwin() {
        let cases: [(Int, [Int], [[Int32]])] = [
            (2, [3, 4, 5], [[-1, 2, 1, 0, 1], [3, -1, 0], []]),
            (1, [2, 2, 17], [[0, 1], [1, 0, 1, 0], [16, -1, 3, 3]]),
            (3, [1, 1, 33], [[0], [0], []]), (1, [5, 1, 1], [[4, 3, 2, 1, 0], [-1, 0, -1], []]),
        ]
        for type in elementTypes {
            for (n, from, tables) in cases {
                let gather = Gather(n: n, from: from, tables: tables, type: type)
                var random = TestRandom(n + from[2])
                let (src, ddst) = (random.floats(gather.count), random.floats(gather.resultCount))
                let twin = gather.forward(RK_ISA_REFERENCE, src)
                forEachSetAndTeam { isa, threads, name in
                    assertSameBits(gather.forward(isa, src, threads: threads), twin, name)
                    for before in [nil, src] {
                        let expected = gather.backward(RK_ISA_REFERENCE, ddst, onto: before)
                        let found = gather.backward(isa, ddst, onto: before, threads: threads)
                        assertClose(found, expected, type == RK_F32 ? 1e-6 : 1.0 / 64, name)
                    }
                }
            }
        }
    }

    /// <gather(x), y> = <x, backward(y)> where nothing is filled in: the backward pass is the transposed map.
    func testScatterIsTheTransposedGather() {
        let gather = Gather(n: 2, from: [3, 4, 5], tables: [[2, 2, 0], [1, 3, 3, 0], [4, 0, 0]], type: RK_F32)
        var random = TestRandom(3)
        let (x, y) = (random.floats(gather.count), random.floats(gather.resultCount))
        for isa in supportedSets {
            let left = zip(gather.forward(isa, x), y).reduce(0.0) { $0 + Double($1.0 * $1.1) }
            let right = zip(gather.backward(isa, y), x).reduce(0.0) { $0 + Double($1.0 * $1.1) }
            XCTAssertEqual(left, right, accuracy: 1e-5, isa.label)
        }
    }

    // MARK: Resize

    private struct Axis {
        let taps: Int
        let first: [Int32]
        let weights: [Float]
    }

    private struct Resize {
        let n: Int
        let from: [Int]
        let axes: [Axis]
        let type: rk_type

        var count: Int { n * from.reduce(1, *) }
        var resultCount: Int { n * axes[0].first.count * axes[1].first.count * from[2] }

        private func run(_ body: (rk_resize_args) -> Void, _ isa: rk_isa) {
            let firsts = axes.map { Guarded<Int32>($0.first) }
            let weights = axes.map { Floats($0.weights) }
            var args = rk_resize_args()
            (args.isa, args.type, args.n, args.value) = (isa, type, Int64(n), 10)
            (args.h, args.w, args.c) = (Int64(from[0]), Int64(from[1]), Int64(from[2]))
            (args.oh, args.ow) = (Int64(axes[0].first.count), Int64(axes[1].first.count))
            func axis(_ i: Int) -> rk_resize_axis {
                rk_resize_axis(taps: Int64(axes[i].taps), first: firsts[i].readable, weights: weights[i].readable)
            }
            (args.rows, args.columns) = (axis(0), axis(1))
            body(args)
            assertIntact(firsts)
            assertIntact(weights)
        }

        func forward(_ isa: rk_isa, _ src: [Float], threads: Int32 = 1) -> [Float] {
            let (map, dst) = (TestMap(src, type), TestMap(count: resultCount, type, repeating: .nan))
            run(
                { args in
                    var args = args
                    (args.src, args.dst) = (map.readable, dst.pointer)
                    runStep(rk_resize, args, threads: threads)
                }, isa)
            assertIntact([map, dst])
            return dst.values
        }

        func backward(_ isa: rk_isa, _ ddst: [Float], onto before: [Float]? = nil, threads: Int32 = 1) -> [Float] {
            let d = TestMap(ddst, type)
            let dsrc = TestMap(before ?? [Float](repeating: .nan, count: count), type)
            run(
                {
                    runStep(
                        rk_resize_backward,
                        rk_resize_backward_args(
                            forward: $0, ddst: d.readable, accumulate: before == nil ? 0 : 1, dsrc: dsrc.pointer),
                        threads: threads)
                }, isa)
            assertIntact([d, dsrc])
            return dsrc.values
        }
    }

    /// Random neighbours: `result` elements of `size`, each from `taps`, some outside.
    private func axis(_ random: inout TestRandom, size: Int, result: Int, taps: Int, outside: Bool = true) -> Axis {
        let first = (0..<result).map { i in
            outside && i % 4 == 3 ? -1 : Int32(random.index(size - taps + 1))
        }
        return Axis(taps: taps, first: first, weights: random.floats(result * taps))
    }

    func testResizesMatchTheTwin() {
        for type in elementTypes {
            for (n, from, to, taps) in [
                (1, [1, 1, 1], [3, 2], [1, 1]), (2, [4, 5, 7], [8, 3], [2, 3]), (1, [6, 6, 33], [5, 9], [4, 1]),
                (3, [3, 2, 16], [2, 2], [3, 2]),
            ] {
                var random = TestRandom(from[2])
                let axes = (0..<2).map { axis(&random, size: from[$0], result: to[$0], taps: taps[$0]) }
                let resize = Resize(n: n, from: from, axes: axes, type: type)
                let (src, ddst) = (random.floats(resize.count), random.floats(resize.resultCount))
                let twin = resize.forward(RK_ISA_REFERENCE, src)
                forEachSetAndTeam { isa, threads, name in
                    assertClose(
                        resize.forward(isa, src, threads: threads), twin, type == RK_F32 ? 2e-6 : 1.0 / 128, name)
                    for before in [nil, src] {
                        let expected = resize.backward(RK_ISA_REFERENCE, ddst, onto: before)
                        let found = resize.backward(isa, ddst, onto: before, threads: threads)
                        // In bf16 each of the terms is rounded as it is added.
                        assertClose(found, expected, type == RK_F32 ? 2e-6 : 0.1, name)
                    }
                }
            }
        }
    }

    func testBackwardIsTheTransposedResize() {
        var random = TestRandom(4)
        let axes = [5, 4].map { axis(&random, size: $0, result: 7, taps: 3, outside: false) }
        let resize = Resize(n: 2, from: [5, 4, 3], axes: axes, type: RK_F32)
        let (x, y) = (random.floats(resize.count), random.floats(resize.resultCount))
        for isa in supportedSets {
            let left = zip(resize.forward(isa, x), y).reduce(0.0) { $0 + Double($1.0 * $1.1) }
            let right = zip(resize.backward(isa, y), x).reduce(0.0) { $0 + Double($1.0 * $1.1) }
            XCTAssertEqual(left, right, accuracy: 1e-4, isa.label)
        }
    }
}
