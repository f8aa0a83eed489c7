// BatchNormCase: one case of batch normalisation with everything that a run of it reads and writes. Not here: the tests (BatchNormTests).
import CRengaKernels
import XCTest

/// One case of batch normalisation and everything that a run of it writes.
struct BatchNormCase {
    var rows: Int
    var c: Int
    var relu = false
    var add = false
    var frozen = false
    var affine = true
    var accumulate = false
    var epsilon: Float = 1e-5
    /// Channels of what is added, where there are fewer.
    var narrow: Int?

    var src: [Float] = []
    var gamma: [Float] = []
    var beta: [Float] = []
    var residual: [Float] = []
    var ddst: [Float] = []
    var before: [Float] = []  // what dsrc and dadd hold where they are accumulated

    init(rows: Int, c: Int, relu: Bool = false, add: Bool = false, frozen: Bool = false, seed: Int = 1) {
        (self.rows, self.c, self.relu, self.add, self.frozen) = (rows, c, relu, add, frozen)
        var random = TestRandom(seed + rows * 1009 + c)
        src = random.floats(rows * c, -2, 3)
        gamma = random.floats(c, 0.5, 1.5)
        beta = random.floats(c)
        residual = random.floats(rows * c)
        ddst = random.floats(rows * c)
        before = random.floats(rows * c)
    }

    struct Forward {
        var dst: [Float]
        var mean: [Float]
        var rstd: [Float]
        var running: [Float]
        var all: [Float] { dst + mean + rstd + running }
    }

    struct Backward {
        var dsrc: [Float]
        var dadd: [Float]
        var dgamma: [Float]
        var dbeta: [Float]
        var all: [Float] { dsrc + dadd + dgamma + dbeta }
    }

    func forward(_ isa: rk_isa, _ threads: Int32 = 1, inPlace: Bool = false) -> Forward {
        let (x, g, b, r) = (Floats(src), Floats(gamma), Floats(beta), Floats(residual))
        let dst = inPlace ? x : Floats(count: rows * c, repeating: .nan)
        let (mean, rstd) = (Floats(count: c, repeating: .nan), Floats(count: c, repeating: .nan))
        let (runningMean, runningVar) = (Floats(gamma), Floats(count: c, repeating: 2))
        let scratch = Floats(count: rk_batch_norm_scratch(Int64(rows), Int64(c)), repeating: .nan)
        var arguments = rk_batch_norm_train_args()
        (arguments.isa, arguments.rows, arguments.c) = (isa, Int64(rows), Int64(c))
        arguments.src = x.map
        if affine { (arguments.gamma, arguments.beta) = (g.readable, b.readable) }
        if add { (arguments.add, arguments.add_c) = (r.map, Int64(narrow ?? 0)) }
        (arguments.mean, arguments.rstd) = (mean.pointer, rstd.pointer)
        (arguments.running_mean, arguments.running_var) = (runningMean.pointer, runningVar.pointer)
        (arguments.epsilon, arguments.momentum, arguments.relu) = (epsilon, 0.1, relu ? 1 : 0)
        (arguments.dst, arguments.scratch) = (dst.mutableMap, scratch.pointer)
        runStep(rk_batch_norm_train, arguments, threads: threads)
        assertIntact([x, g, b, r, dst, mean, rstd, runningMean, runningVar, scratch], "\(self)")
        return Forward(
            dst: dst.values, mean: mean.values, rstd: rstd.values, running: runningMean.values + runningVar.values)
    }

    /// dst of the forward pass, then of its recomputation from what it kept.
    func forwardAndAgain(_ isa: rk_isa, _ threads: Int32 = 1) -> (dst: [Float], again: [Float]) {
        let (x, g, b, r) = (Floats(src), Floats(gamma), Floats(beta), Floats(residual))
        let (dst, again) = (Floats(count: rows * c, repeating: .nan), Floats(count: rows * c, repeating: .nan))
        let (mean, rstd) = (Floats(count: c, repeating: .nan), Floats(count: c, repeating: .nan))
        let kept = Floats(count: 2 * c, repeating: .nan)
        let scratch = Floats(count: rk_batch_norm_scratch(Int64(rows), Int64(c)), repeating: .nan)
        var train = rk_batch_norm_train_args()
        (train.isa, train.rows, train.c) = (isa, Int64(rows), Int64(c))
        (train.src, train.gamma, train.beta) = (x.map, g.readable, b.readable)
        if add { (train.add, train.add_c) = (r.map, Int64(narrow ?? 0)) }
        (train.mean, train.rstd, train.scale_shift) = (mean.pointer, rstd.pointer, kept.pointer)
        (train.epsilon, train.momentum, train.relu) = (epsilon, 0.1, relu ? 1 : 0)
        (train.dst, train.scratch) = (dst.mutableMap, scratch.pointer)
        runStep(rk_batch_norm_train, train, threads: threads)
        var affine = rk_scale_shift_args()
        (affine.isa, affine.rows, affine.c) = (isa, Int64(rows), Int64(c))
        (affine.src, affine.center) = (x.map, mean.readable)
        (affine.scale, affine.shift) = (kept.readable, kept.readable + c)
        (affine.add, affine.add_c) = (train.add, train.add_c)
        (affine.relu, affine.dst) = (train.relu, again.mutableMap)
        runStep(rk_scale_shift, affine, threads: threads)
        assertIntact([x, g, b, r, dst, again, mean, rstd, kept, scratch], "\(self)")
        return (dst.values, again.values)
    }

    /// Which results of the backward pass are asked for, and where one of them goes.
    struct BackwardWish {
        var dsrc = true
        var affine = true
        var daddIsDdst = false
    }

    /// The backward pass behind the results of a forward pass.
    func backward(
        _ isa: rk_isa, _ threads: Int32 = 1, after forward: Forward, inPlace: Bool = false,
        wanted: BackwardWish = BackwardWish()
    ) -> Backward {
        let (x, y, d, g) = (Floats(src), Floats(forward.dst), Floats(ddst), Floats(gamma))
        let (mean, rstd) = (Floats(forward.mean), Floats(forward.rstd))
        let (dsrc, dadd) = (inPlace ? d : Floats(before), wanted.daddIsDdst ? d : Floats(before))
        let (dgamma, dbeta) = (Floats(count: c, repeating: .nan), Floats(count: c, repeating: .nan))
        let scratch = Floats(count: rk_batch_norm_scratch(Int64(rows), Int64(c)), repeating: .nan)
        var arguments = rk_batch_norm_backward_args()
        (arguments.isa, arguments.rows, arguments.c) = (isa, Int64(rows), Int64(c))
        (arguments.src, arguments.ddst) = (x.map, d.map)
        if relu { arguments.dst = y.map }
        if affine { arguments.gamma = g.readable }
        (arguments.mean, arguments.rstd) = (mean.readable, rstd.readable)
        (arguments.relu, arguments.frozen_stats) = (relu ? 1 : 0, frozen ? 1 : 0)
        (arguments.accumulate_dsrc, arguments.accumulate_dadd) = (accumulate ? 1 : 0, accumulate ? 1 : 0)
        if wanted.dsrc { arguments.dsrc = dsrc.mutableMap }
        if add { (arguments.dadd, arguments.dadd_c) = (dadd.mutableMap, Int64(narrow ?? 0)) }
        if wanted.affine { (arguments.dgamma, arguments.dbeta) = (dgamma.pointer, dbeta.pointer) }
        arguments.scratch = scratch.pointer
        runStep(rk_batch_norm_backward, arguments, threads: threads)
        assertIntact([x, y, d, g, mean, rstd, dsrc, dadd, dgamma, dbeta, scratch], "\(self)")
        return Backward(
            dsrc: dsrc.values, dadd: dadd.values, dgamma: dgamma.values, dbeta: dbeta.values)
    }

    /// Frozen statistics: scale and shift, then the affine map.
    func frozenForward(_ isa: rk_isa, _ threads: Int32 = 1, mean: [Float], variance: [Float]) -> Forward {
        let (x, g, b, r, m, v) = (
            Floats(src), Floats(gamma), Floats(beta), Floats(residual), Floats(mean), Floats(variance)
        )
        let (scale, shift, rstd) = (
            Floats(count: c, repeating: 0), Floats(count: c, repeating: 0), Floats(count: c, repeating: 0)
        )
        let dst = Floats(count: rows * c, repeating: .nan)
        var prepare = rk_batch_norm_prepare_args()
        prepare.c = Int64(c)
        if affine { (prepare.gamma, prepare.beta) = (g.readable, b.readable) }
        (prepare.mean, prepare.`var`, prepare.epsilon) = (m.readable, v.readable, epsilon)
        (prepare.scale, prepare.shift, prepare.rstd) = (scale.pointer, shift.pointer, rstd.pointer)
        runStep(rk_batch_norm_prepare, prepare, threads: threads)
        var arguments = rk_scale_shift_args()
        (arguments.isa, arguments.rows, arguments.c) = (isa, Int64(rows), Int64(c))
        (arguments.src, arguments.scale, arguments.shift) = (x.map, scale.readable, shift.readable)
        if add { (arguments.add, arguments.add_c) = (r.map, Int64(narrow ?? 0)) }
        (arguments.relu, arguments.dst) = (relu ? 1 : 0, dst.mutableMap)
        runStep(rk_scale_shift, arguments, threads: threads)
        assertIntact([x, g, b, r, m, v, scale, shift, rstd, dst], "\(self)")
        return Forward(dst: dst.values, mean: mean, rstd: rstd.values, running: [])
    }
}
