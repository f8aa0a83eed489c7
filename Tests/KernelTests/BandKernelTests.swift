// BandKernelTests: a band takes every chunk once through its steps in order, in memory of the thread that took it; batch norm in parts
// computes what it computes in one step, on hostile data too.
import CRengaKernels
import XCTest

final class BandKernelTests: XCTestCase {
    private func words(_ args: rk_sum_args) -> Guarded<UInt64> {
        var words = [UInt64](repeating: 0, count: MemoryLayout<rk_sum_args>.size / 8)
        withUnsafeBytes(of: args) { raw in words.withUnsafeMutableBytes { $0.copyMemory(from: raw) } }
        return Guarded(words)
    }

    /// dst = the sum of `terms`.
    private func sum(_ terms: [UnsafePointer<Float>], _ dst: UnsafeMutablePointer<Float>, _ count: Int) -> Guarded<
        UInt64
    > {
        var args = rk_sum_args()
        (args.isa, args.count, args.terms, args.scale) = (RK_ISA_GENERIC, Int64(count), Int32(terms.count), 1)
        args.src.0 = UnsafeRawPointer(terms[0])
        if terms.count > 1 { args.src.1 = UnsafeRawPointer(terms[1]) }
        args.dst = UnsafeMutableRawPointer(dst)
        return words(args)
    }

    /// local = src[chunk], dst[chunk] = local + local: chunks of 2 floats, the last of 1; slots are 2 floats apart.
    func testEveryChunkOnceInOrder() {
        let (src, dst) = (Floats((0..<11).map { Float($0) }), Floats(count: 11, repeating: .nan))
        let local = Floats(count: 2 * 5, repeating: .nan)
        let copy = (sum([src.readable], local.pointer, 2), tail: sum([src.readable + 10], local.pointer, 1))
        let terms = [local.readable, local.readable]
        let double = (sum(terms, dst.pointer, 2), tail: sum(terms, dst.pointer + 10, 1))
        let from = (MemoryLayout<rk_sum_args>.offset(of: \.src) ?? 0) / 8
        let to = (MemoryLayout<rk_sum_args>.offset(of: \.dst) ?? 0) / 8
        let patches = Guarded([
            rk_patch(word: from, per_chunk: 8, per_slot: 0), rk_patch(word: to, per_chunk: 0, per_slot: 8),
            rk_patch(word: from, per_chunk: 0, per_slot: 8), rk_patch(word: from + 1, per_chunk: 0, per_slot: 8),
            rk_patch(word: to, per_chunk: 8, per_slot: 0),
        ])
        let steps = Guarded([
            rk_band_step(
                step: rk_step(run: rk_sum, args: copy.0.pointer, enabled: nil), tail: copy.tail.pointer,
                words: copy.0.count, patches: patches.pointer, patch_count: 2),
            rk_band_step(
                step: rk_step(run: rk_sum, args: double.0.pointer, enabled: nil), tail: double.tail.pointer,
                words: double.0.count, patches: patches.pointer + 2, patch_count: 3),
        ])
        let seconds = Guarded<Double>(count: 2 * 5, repeating: 0)
        for threads in teamSizes {
            for backwards: Int32 in [0, 1] {
                for i in 0..<dst.count { dst.pointer[i] = .nan }
                let args = rk_band_args(
                    steps: steps.pointer, count: 2, chunks: 6, backwards: backwards, seconds: seconds.pointer)
                runStep(rk_band, args, threads: threads)
                XCTAssertEqual(dst.values, (0..<11).map { Float(2 * $0) }, "\(threads) threads, backwards \(backwards)")
            }
        }
        XCTAssertGreaterThan(seconds.values.reduce(0, +), 0)
        assertIntact([src, dst, local], "band")
        withExtendedLifetime((copy, double)) {}
    }

    /// Mean, rstd, running statistics and dst of `test` in parts of `part` rows.
    private func inParts(_ test: BatchNormCase, _ part: Int, _ isa: rk_isa, _ threads: Int32) -> [[Float]] {
        let (x, g, b) = (Floats(test.src), Floats(test.gamma), Floats(test.beta))
        let step = rk_batch_norm_moments_floats(Int64(part), Int64(test.c))
        let count = (test.rows + part - 1) / part
        let moments = Floats(count: count * step, repeating: .nan)
        for index in 0..<count {
            var args = rk_batch_norm_moments_args()
            (args.isa, args.rows, args.c) = (isa, Int64(min(part, test.rows - index * part)), Int64(test.c))
            args.src = UnsafeRawPointer(x.readable + index * part * test.c)
            args.moments = moments.pointer + index * step
            runStep(rk_batch_norm_moments, args, threads: threads)
        }
        let found = (0..<4).map { _ in Floats(count: test.c, repeating: .nan) }
        let (runningMean, runningVar) = (Floats(test.gamma), Floats(count: test.c, repeating: 2))
        var args = rk_batch_norm_finish_args()
        (args.rows, args.part_rows, args.part_step, args.c) = (
            Int64(test.rows), Int64(part), Int64(step), Int64(test.c)
        )
        (args.moments, args.gamma, args.beta) = (moments.readable, g.readable, b.readable)
        (args.mean, args.rstd, args.scale, args.shift) = (
            found[0].pointer, found[1].pointer, found[2].pointer, found[3].pointer
        )
        (args.running_mean, args.running_var) = (runningMean.pointer, runningVar.pointer)
        (args.epsilon, args.momentum) = (test.epsilon, 0.1)
        runStep(rk_batch_norm_finish, args, threads: threads)
        let dst = Floats(count: test.rows * test.c, repeating: .nan)
        var apply = rk_scale_shift_args()
        (apply.isa, apply.rows, apply.c, apply.relu) = (isa, Int64(test.rows), Int64(test.c), test.relu ? 1 : 0)
        apply.src = UnsafeRawPointer(x.readable)
        (apply.center, apply.scale) = (found[0].readable, found[2].readable)
        (apply.shift, apply.dst) = (found[3].readable, UnsafeMutableRawPointer(dst.pointer))
        runStep(rk_scale_shift, apply, threads: threads)
        assertIntact(
            [x, moments, dst, runningMean, runningVar] + found, "\(test.rows) x \(test.c) in parts of \(part)")
        return [found[0].values, found[1].values, runningMean.values + runningVar.values, dst.values]
    }

    func testForwardInPartsIsThatInOneStep() {
        for (rows, c) in [(1, 3), (37, 1), (640, 17), (5000, 16), (300, 300)] {
            for hostile in [false, true] {
                var test = BatchNormCase(rows: rows, c: c, relu: !hostile)
                // A mean of 1000 with deviations of about 0.01.
                if hostile { test.src = test.src.map { 1000 + $0 / 128 } }
                let expected = test.forward(RK_ISA_REFERENCE)
                for isa in fastSets {
                    for part in Set([rows, max(rows / 3, 1), max(rows / 7, 1)]).sorted() {
                        let found = inParts(test, part, isa, 1)
                        XCTAssertEqual(found, inParts(test, part, isa, 3), "same bits for any team")
                        let what = "\(rows) x \(c) in parts of \(part), \(isa.label), hostile \(hostile)"
                        assertClose(found[0], expected.mean, 1e-6, what)
                        assertClose(found[1], expected.rstd, hostile ? 2e-4 : 2e-6, what)
                        assertClose(found[2], expected.running, 1e-5, what)
                        assertClose(found[3], expected.dst, hostile ? 2e-3 : 1e-5, what)
                    }
                }
            }
        }
    }

    func testBackwardInPartsIsThatInOneStep() {
        for (rows, c) in [(2, 3), (640, 17), (5000, 16), (300, 300)] {
            for relu in [false, true] {
                let test = BatchNormCase(rows: rows, c: c, relu: relu)
                let forward = test.forward(RK_ISA_REFERENCE)
                let expected = test.backward(RK_ISA_REFERENCE, after: forward)
                for isa in fastSets { check(test, forward, expected, isa) }
            }
        }
    }

    /// Where the ReLU's mask comes from: the result, the source, or the sums, which leave the gradient masked in its place.
    private enum MaskKind: CaseIterable { case result, source, sums }

    private func check(
        _ test: BatchNormCase, _ forward: BatchNormCase.Forward, _ expected: BatchNormCase.Backward, _ isa: rk_isa
    ) {
        let part = max(test.rows / 3, 1), count = (test.rows + part - 1) / part, c = test.c
        let (x, y, g) = (Floats(test.src), Floats(forward.dst), Floats(test.gamma))
        let (mean, rstd) = (Floats(forward.mean), Floats(forward.rstd))
        let scale = Floats(zip(test.gamma, forward.rstd).map { $0 * $1 })
        let shift = Floats(test.beta)
        for kind in MaskKind.allCases where test.relu || kind == .result {
            let d = Floats(test.ddst)
            let step = rk_batch_norm_gradients_floats(Int64(part), Int64(c))
            let sums = Floats(count: count * step, repeating: .nan)
            let found = (0..<5).map { _ in Floats(count: c, repeating: .nan) }
            let dsrc = Floats(count: test.rows * c, repeating: .nan)
            for index in 0..<count {
                var args = rk_batch_norm_gradients_args()
                let at = index * part * c
                (args.isa, args.rows, args.c) = (isa, Int64(min(part, test.rows - index * part)), Int64(c))
                (args.src, args.ddst) = (UnsafeRawPointer(x.readable + at), UnsafeRawPointer(d.readable + at))
                args.mean = mean.readable
                if test.relu, kind != .source { args.dst = UnsafeRawPointer(y.readable + at) }
                if kind == .sums { args.masked = UnsafeMutableRawPointer(d.pointer + at) }
                if kind == .source { (args.mask_scale, args.mask_shift) = (scale.readable, shift.readable) }
                args.gradients = sums.pointer + index * step
                runStep(rk_batch_norm_gradients, args, threads: 2)
            }
            var finish = rk_batch_norm_gradients_finish_args()
            (finish.rows, finish.part_rows, finish.part_step) = (Int64(test.rows), Int64(part), Int64(step))
            (finish.c, finish.gradients, finish.gamma, finish.rstd) = (
                Int64(c), sums.readable, g.readable, rstd.readable
            )
            (finish.dgamma, finish.dbeta) = (found[0].pointer, found[1].pointer)
            (finish.scale, finish.slope, finish.shift) = (found[2].pointer, found[3].pointer, found[4].pointer)
            runStep(rk_batch_norm_gradients_finish, finish, threads: 2)
            var args = rk_batch_norm_gradients_apply_args()
            (args.isa, args.rows, args.c) = (isa, Int64(test.rows), Int64(c))
            (args.src, args.ddst) = (UnsafeRawPointer(x.readable), UnsafeRawPointer(d.readable))
            args.mean = mean.readable
            if test.relu, kind == .result { args.dst = UnsafeRawPointer(y.readable) }
            if kind == .sums { args.dadd = UnsafeMutableRawPointer(d.pointer) }
            if kind == .source { (args.mask_scale, args.mask_shift) = (scale.readable, shift.readable) }
            (args.scale, args.slope, args.shift) = (found[2].readable, found[3].readable, found[4].readable)
            args.dsrc = UnsafeMutableRawPointer(dsrc.pointer)
            runStep(rk_batch_norm_gradients_apply, args, threads: 2)
            let what = "\(test.rows) x \(c), \(isa.label), mask from the \(kind)"
            if kind == .sums {
                let masked = zip(test.ddst, forward.dst).map { $1 > 0 ? $0 : 0 }
                XCTAssertEqual(d.values, masked, "the gradient stays where it is, masked: \(what)")
            }
            assertClose(found[0].values, expected.dgamma, 1e-4, what)
            assertClose(found[1].values, expected.dbeta, 1e-4, what)
            assertClose(dsrc.values, expected.dsrc, 1e-4, what)
            assertIntact([sums, dsrc] + found, what)
        }
    }
}
