// ReLU.swift: how a ReLU runs where no step before it could take it in.
// Not here: its fused forms (ConvolutionKernels.swift, BatchNorm.swift, SumKernels.swift).
import CRengaKernels
import RengaNetwork

extension ReLU: Executable {
    /// dst = max(src, 0).
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let (src, dst) = (try emit.value(step.inputs[0]), try emit.value(step.output))
        emit.mayReplace(src, by: dst)
        let floats = emit.shape(step.output).count
        try emit.add(rk_sum, emit.sum(of: [emit.pointer(src)], to: emit.pointer(dst), floats: floats, relu: true))
    }

    /// dsrc = ddst where dst > 0.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        guard let dsrc = try emit.gradientTarget(step.inputs[0]) else { return }
        let ddst = try emit.gradient(step.output)
        if !dsrc.accumulate { emit.mayReplace(ddst, by: dsrc.buffer) }
        var args = rk_relu_backward_args()
        args.isa = emit.isa
        args.count = Int64(emit.shape(step.output).count)
        args.dst = UnsafeRawPointer(emit.pointer(try emit.value(step.output)))
        args.ddst = UnsafeRawPointer(emit.pointer(ddst))
        args.scale = 1
        args.accumulate = dsrc.accumulate ? 1 : 0
        args.dsrc = UnsafeMutableRawPointer(emit.pointer(dsrc.buffer))
        try emit.add(rk_relu_backward, args, "backward")
    }
}
