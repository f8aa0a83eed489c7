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

    /// dst[row,c] = exp(src[row,c]) / sum over i of exp(src[row,i]), or the logarithm of it.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let (src, dst) = (try emit.input(step.inputs[0], of: step), try emit.value(step.output))
        emit.mayReplace(src, by: dst)
        let shape = emit.shape(step.output)
        var args = rk_softmax_args()
        (args.isa, args.type) = (emit.isa, emit.type(of: step))
        (args.rows, args.c) = (Int64(shape.rows), Int64(shape.c))
        args.src = UnsafeRawPointer(emit.pointer(src))
        args.dst = emit.floats(dst)
        args.log = isLog ? 1 : 0
        try emit.add(rk_softmax, args)
    }

    /// dsrc = dst (ddst - sum over c of dst ddst); behind a logarithm ddst - exp(dst) times the sum of ddst.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        guard let dsrc = try emit.gradientTarget(step.inputs[0], of: step) else { return }
        let shape = emit.shape(step.output)
        var args = rk_softmax_backward_args()
        (args.isa, args.type) = (emit.isa, emit.type(of: step))
        (args.rows, args.c) = (Int64(shape.rows), Int64(shape.c))
        args.dst = UnsafePointer(emit.floats(try emit.value(step.output)))
        args.ddst = UnsafePointer(emit.floats(try emit.gradient(step.output)))
        args.log = isLog ? 1 : 0
        args.accumulate = dsrc.accumulate ? 1 : 0
        args.dsrc = emit.pointer(dsrc.buffer)
        try emit.add(rk_softmax_backward, args, "backward")
    }
}
