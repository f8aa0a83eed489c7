// Resize.swift: how a resize runs: each element is a weighted sum of neighbours, by tables of the two axes.
// Not here: the tables (RengaNetwork: ResizeAxis).
import CRengaKernels
import RengaNetwork

extension Resize: Executable {
    /// Images apart.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        emit.fits(step.inputs + [step.output]) ? .images : .batch
    }

    /// src `[N,H,W,C]`, dst `[N,OH,OW,C]`.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let src = try emit.input(step.inputs[0], of: step)
        var args = try arguments(step, emit)
        args.src = UnsafeRawPointer(emit.pointer(src))
        args.dst = emit.pointer(try emit.value(step.output))
        try emit.add(rk_resize, args)
    }

    /// dsrc: the transposed map of ddst.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        guard let dsrc = try emit.gradientTarget(step.inputs[0], of: step) else { return }
        var args = rk_resize_backward_args()
        args.forward = try arguments(step, emit)
        args.ddst = UnsafeRawPointer(emit.pointer(try emit.gradient(step.output)))
        (args.accumulate, args.dsrc) = (dsrc.accumulate ? 1 : 0, emit.pointer(dsrc.buffer))
        try emit.add(rk_resize_backward, args, "backward")
    }

    private func arguments(_ step: FusedStep, _ emit: Emitter) throws(RengaError) -> rk_resize_args {
        let (src, dst) = (emit.shape(step.inputs[0]), emit.shape(step.output))
        var args = rk_resize_args()
        (args.isa, args.type, args.value) = (emit.isa, emit.type(of: step), Float(extrapolation))
        (args.n, args.h, args.w, args.c) = (Int64(src.n), Int64(src.h), Int64(src.w), Int64(src.c))
        (args.oh, args.ow) = (Int64(dst.h), Int64(dst.w))
        args.rows = try table(ResizeAxis(self, h, size: src.h, result: dst.h), dst.h, emit)
        args.columns = try table(ResizeAxis(self, w, size: src.w, result: dst.w), dst.w, emit)
        return args
    }

    /// The firsts and behind them the weights.
    private func table(_ axis: ResizeAxis, _ count: Int, _ emit: Emitter) throws(RengaError) -> rk_resize_axis {
        // At most 2^20 elements of the result with at most 2^30 neighbours each.
        let first: UnsafePointer<Int32>? = try emit.table(count * (1 + axis.taps)) { first in
            let weights = UnsafeMutableRawPointer(first + count).bindMemory(
                to: Float.self, capacity: count * axis.taps)
            axis.fill(first: first, weights: weights)
        }
        let weights = first.map { UnsafeRawPointer($0 + count).assumingMemoryBound(to: Float.self) }
        return rk_resize_axis(taps: Int64(axis.taps), first: first, weights: weights)
    }
}
