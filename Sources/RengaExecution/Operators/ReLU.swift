// ReLU.swift: how a ReLU runs where no step before it could take it in.
// Not here: its fused forms (ConvolutionKernels.swift, BatchNorm.swift, SumKernels.swift).
import CRengaKernels
import RengaNetwork

extension ReLU: Executable {
    /// Images apart.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        emit.fits(step.inputs + [step.output]) ? .images : .batch
    }

    /// dst = max(src, 0).
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let (src, dst) = (try emit.input(step.inputs[0], of: step), try emit.value(step.output))
        emit.mayReplace(src, by: dst)
        let (elements, type) = (emit.shape(step.output).count, emit.type(of: step))
        let args = emit.sum(of: [emit.pointer(src)], to: emit.pointer(dst), elements: elements, type: type, relu: true)
        try emit.add(rk_sum, args)
    }

    /// dsrc = ddst where dst > 0.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        guard let dsrc = try emit.gradientTarget(step.inputs[0], of: step) else { return }
        let ddst = try emit.gradient(step.output)
        if !dsrc.accumulate { emit.mayReplace(ddst, by: dsrc.buffer) }
        var args = rk_relu_backward_args()
        (args.isa, args.type) = (emit.isa, emit.type(of: step))
        args.count = Int64(emit.shape(step.output).count)
        args.dst = UnsafeRawPointer(emit.pointer(try emit.value(step.output)))
        args.ddst = UnsafeRawPointer(emit.pointer(ddst))
        args.scale = 1
        args.accumulate = dsrc.accumulate ? 1 : 0
        args.dsrc = UnsafeMutableRawPointer(emit.pointer(dsrc.buffer))
        try emit.add(rk_relu_backward, args, "backward")
    }
}
