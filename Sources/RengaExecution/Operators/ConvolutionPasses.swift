// ConvolutionPasses.swift: the three passes of a convolution as steps with nothing fused into them: what convolutions, their narrowed and their
// transposed forms share. Not here: which plan, and the forward pass with its epilogue (ConvolutionKernels.swift).
import CRengaKernels
import RengaNetwork

extension Emitter {
    /// dst = conv(src, weight), or dst + that.
    func convolve(
        _ plan: rk_conv_plan, _ packed: BufferID, from src: BufferID, to dst: BufferID, accumulate: Bool = false,
        _ label: String, macs: Int
    ) throws(RengaError) {
        var args = rk_conv_forward_args()
        args.plan = try keep(plan)
        args.src = UnsafeRawPointer(pointer(src))
        args.packed = UnsafePointer(floats(packed))
        args.dst = pointer(dst)
        if accumulate { args.add = UnsafeRawPointer(args.dst) }
        args.scratch = scratch(Int(clamping: plan.scratch_floats))
        try add(rk_conv_forward, args, label, algorithm: algorithmName(plan.algorithm), macs: macs)
    }

    /// dsrc = conv^T(ddst, weight), or dsrc + that.
    func convolveBack(
        _ plan: rk_conv_plan, _ packed: BufferID, from ddst: BufferID, to dsrc: BufferID, accumulate: Bool = false,
        _ label: String, macs: Int
    ) throws(RengaError) {
        var args = rk_conv_backward_data_args()
        args.plan = try keep(plan)
        args.ddst = UnsafeRawPointer(pointer(ddst))
        args.packed = UnsafePointer(floats(packed))
        args.dsrc = pointer(dsrc)
        if accumulate { args.add = UnsafeRawPointer(args.dsrc) }
        args.scratch = scratch(Int(clamping: plan.scratch_floats))
        try add(rk_conv_backward_data, args, label, algorithm: algorithmName(plan.algorithm), macs: macs)
    }

    /// dweight (nil while sizes are measured), and dbias where it is wanted, of the convolution that reads src and whose result has the
    /// gradient ddst.
    func weightGradient(
        _ plan: rk_conv_plan, src: BufferID, ddst: BufferID, to dweight: UnsafeMutablePointer<Float>?,
        dbias: UnsafeMutablePointer<Float>? = nil, _ label: String = "backward weight", macs: Int
    ) throws(RengaError) {
        var args = rk_conv_backward_weight_args()
        args.plan = try keep(plan)
        args.src = UnsafeRawPointer(pointer(src))
        args.ddst = UnsafeRawPointer(pointer(ddst))
        (args.dweight, args.dbias) = (dweight, dbias)
        args.scratch = scratch(Int(clamping: plan.scratch_floats))
        try add(rk_conv_backward_weight, args, label, algorithm: algorithmName(plan.algorithm), macs: macs)
    }
}
