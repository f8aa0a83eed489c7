// Dropout.swift: how dropout runs in training (Srivastava et al. 2014); inference plans have none left.
import CRengaKernels
import RengaNetwork

extension Dropout: Executable {
    /// Each element kept with probability 1 - rate and divided by it, else 0; the mask follows from the plan's key and counter.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let (src, dst) = (try emit.input(step.inputs[0], of: step), try emit.value(step.output))
        emit.mayReplace(src, by: dst)
        var args = try arguments(step, emit)
        args.src = UnsafeRawPointer(emit.pointer(src))
        args.dst = emit.pointer(dst)
        try emit.add(rk_dropout, args)
    }

    /// The same mask on the gradient.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        guard let dsrc = try emit.gradientTarget(step.inputs[0], of: step) else { return }
        let ddst = try emit.gradient(step.output)
        if !dsrc.accumulate { emit.mayReplace(ddst, by: dsrc.buffer) }
        var args = try arguments(step, emit)
        args.src = UnsafeRawPointer(emit.pointer(ddst))
        args.accumulate = dsrc.accumulate ? 1 : 0
        args.dst = emit.pointer(dsrc.buffer)
        try emit.add(rk_dropout, args, "backward")
    }

    private func arguments(_ step: FusedStep, _ emit: Emitter) throws(RengaError) -> rk_dropout_args {
        guard let stream = emit.settings.dropout else {
            throw RengaError(.internalFault, "a plan with dropout has no random stream")
        }
        var args = rk_dropout_args()
        args.type = emit.type(of: step)
        args.count = Int64(emit.shape(step.output).count)
        args.rate = Float(rate)
        (args.key, args.counter) = (UnsafePointer(stream.key), UnsafePointer(stream.counter))
        args.stream = UInt64(step.node)
        return args
    }
}
