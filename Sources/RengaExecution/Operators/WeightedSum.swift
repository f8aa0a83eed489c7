// WeightedSum.swift: how a weighted sum of maps runs: each is scaled into the result in turn.
import CRengaKernels
import RengaNetwork

extension WeightedSum: Executable {
    /// dst = weights[0] src[0] + weights[1] src[1] + ….
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let dst = try emit.value(step.output)
        for (index, input) in step.inputs.enumerated() {
            let src = try emit.input(input, of: step)
            try emit.scale(src, to: dst, by: weights[index], accumulate: index > 0, step)
        }
    }

    /// dsrc[i] += weights[i] ddst.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let ddst = try emit.gradient(step.output)
        for (index, input) in step.inputs.enumerated() {
            guard let dsrc = try emit.gradientTarget(input, of: step) else { continue }
            try emit.scale(ddst, to: dsrc.buffer, by: weights[index], accumulate: dsrc.accumulate, step, "backward")
        }
    }
}

extension Emitter {
    /// dst (+)= scale src; both are maps of the step's shape and type.
    fileprivate func scale(
        _ src: BufferID, to dst: BufferID, by scale: Double, accumulate: Bool, _ step: FusedStep, _ label: String = ""
    ) throws(RengaError) {
        var args = rk_scaled_args()
        (args.isa, args.type, args.count) = (isa, type(of: step), Int64(shape(step.output).count))
        (args.scale, args.accumulate) = (Float(scale), accumulate ? 1 : 0)
        (args.src, args.dst) = (UnsafeRawPointer(pointer(src)), pointer(dst))
        try add(rk_scaled, args, label)
    }
}
