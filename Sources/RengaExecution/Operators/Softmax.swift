// Softmax.swift: how softmax runs.
// What it reads and makes is f32 in any precision (ValueTypes).
// Not here: the cross-entropy loss, which takes what goes into a last softmax (TrainingPlan).
import CRengaKernels
import RengaNetwork

extension Softmax: Executable {
    /// Images apart.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        emit.fits(step.inputs + [step.output]) ? .images : .batch
    }

    /// dst[row,c,i] = exp(src[row,c,i]) / sum over j of exp(src[row,j,i]), or the logarithm of it.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let (src, dst) = (try emit.input(step.inputs[0], of: step), try emit.value(step.output))
        emit.mayReplace(src, by: dst)
        var args = rk_softmax_args()
        (args.isa, args.type) = (emit.isa, emit.type(of: step))
        (args.rows, args.c, args.inner) = extents(emit.shape(step.output))
        args.src = UnsafeRawPointer(emit.pointer(src))
        args.dst = emit.floats(dst)
        args.log = isLog ? 1 : 0
        try emit.add(rk_softmax, args)
    }

    /// dsrc = dst (ddst - sum over c of dst ddst); behind a logarithm ddst - exp(dst) times the sum of ddst.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        guard let dsrc = try emit.gradientTarget(step.inputs[0], of: step) else { return }
        var args = rk_softmax_backward_args()
        (args.isa, args.type) = (emit.isa, emit.type(of: step))
        (args.rows, args.c, args.inner) = extents(emit.shape(step.output))
        args.dst = UnsafePointer(emit.floats(try emit.value(step.output)))
        args.ddst = UnsafePointer(emit.floats(try emit.gradient(step.output)))
        args.log = isLog ? 1 : 0
        args.accumulate = dsrc.accumulate ? 1 : 0
        args.dsrc = emit.pointer(dsrc.buffer)
        try emit.add(rk_softmax_backward, args, "backward")
    }

    /// The map as [rows, numbers that sum to 1, numbers that lie between two of those].
    private func extents(_ shape: Shape) -> (Int64, Int64, Int64) {
        let (n, h, w, c) = (Int64(shape.n), Int64(shape.h), Int64(shape.w), Int64(shape.c))
        switch axis {
        case .c: return (n * h * w, c, 1)
        case .w: return (n * h, w, c)
        case .h: return (n, h, w * c)
        }
    }
}
