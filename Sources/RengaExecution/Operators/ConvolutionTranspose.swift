// ConvolutionTranspose.swift: how a transposed convolution runs: by the passes of the convolution whose gradient it is, in other roles.
// Not here: convolutions (ConvolutionKernels.swift).
import CRengaKernels
import RengaNetwork

extension ConvolutionTranspose: Executable {
    /// What follows goes with the bias.
    package func fusible(_ purpose: Purpose) -> Fusible { [.add, .relu] }

    /// In training weights are packed by steps that belong to no band.
    package func locality(_ step: FusedStep, _ emit: Emitter, backward: Bool) -> Locality {
        let src = emit.shape(step.inputs[0])
        let weights = [window.kernelH, window.kernelW, channels / groups, src.c].saturatingProduct
        let maps = step.inputs + [step.output] + (step.add.map { [$0] } ?? [])
        return emit.settings.purpose == .inference && emit.fits(maps, weights: weights) ? .images : .batch
    }

    /// dst = relu?(conv^T(src, weight) + bias + add): src `[N,H,W,C]`, weight `[R,S,K/G,C]`, dst `[N,OH,OW,K]`.
    package func forward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let plan = try emit.convolutionPlan(step.node, shape(step, emit), RK_CONV_BACKWARD_DATA, emit.type(of: step))
        let packed = try emit.packedWeight(step.node, plan)
        let src = try emit.input(step.inputs[0], of: step)
        let add = try step.add.map { value throws(RengaError) in try emit.input(value, of: step) }
        let dst = try emit.value(step.output)
        try emit.convolveBack(plan, packed, from: src, to: dst, "", macs: macs([emit.shape(step.inputs[0])]))
        if hasBias || add != nil || step.activation != .none { try finish(dst, add, step, emit) }
    }

    /// Bias, sum and ReLU, in place.
    private func finish(_ dst: BufferID, _ add: BufferID?, _ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        let shape = emit.shape(step.output)
        var args = rk_scale_shift_args()
        (args.isa, args.type) = (emit.isa, emit.type(of: step))
        (args.rows, args.c) = (Int64(shape.rows), Int64(shape.c))
        args.dst = emit.pointer(dst)
        args.src = UnsafeRawPointer(args.dst)
        args.add = add.flatMap { UnsafeRawPointer(emit.pointer($0)) }
        args.scale = try emit.channels(shape.c, of: 1)
        args.shift =
            hasBias
            ? UnsafePointer(emit.floats(try emit.parameter(step.node, "bias"))) : try emit.channels(shape.c, of: 0)
        args.relu = step.activation == .relu ? 1 : 0
        try emit.add(rk_scale_shift, args, "bias")
    }

    /// dweight: as the convolution's, which reads ddst and whose own result has the gradient src; dsrc: its forward pass.
    package func backward(_ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        if step.activation == .relu { try emit.maskGradient(step.output) }
        let ddst = try emit.gradient(step.output)
        if let dweight = emit.parameterGradient(step.node, "weight") {
            try backwardWeight(ddst, dweight, step, emit)
        }
        if hasBias, let dbias = emit.parameterGradient(step.node, "bias") { try backwardBias(ddst, dbias, step, emit) }
        if let dsrc = try emit.gradientTarget(step.inputs[0], of: step) { try backwardData(ddst, dsrc, step, emit) }
        if let add = step.add { try emit.passGradient(ddst, to: add) }
    }

    private func backwardWeight(
        _ ddst: BufferID, _ dweight: UnsafeMutablePointer<Float>, _ step: FusedStep, _ emit: Emitter
    ) throws(RengaError) {
        let plan = try emit.convolutionPlan(step.node, shape(step, emit), RK_CONV_BACKWARD_WEIGHT, emit.type(of: step))
        let src = try emit.input(step.inputs[0], of: step)
        let macs = macs([emit.shape(step.inputs[0])])
        try emit.weightGradient(plan, src: ddst, ddst: src, to: dweight, macs: macs)
    }

    /// The sum of ddst over all pixels: as a batch norm's offset's.
    private func backwardBias(
        _ ddst: BufferID, _ dbias: UnsafeMutablePointer<Float>, _ step: FusedStep, _ emit: Emitter
    ) throws(RengaError) {
        let shape = emit.shape(step.output)
        var args = rk_batch_norm_backward_args()
        (args.isa, args.type, args.frozen_stats) = (emit.isa, emit.type(of: step), 1)
        (args.rows, args.c) = (Int64(shape.rows), Int64(shape.c))
        args.ddst = UnsafeRawPointer(emit.pointer(ddst))
        args.src = args.ddst
        (args.mean, args.rstd) = (try emit.channels(shape.c, of: 0), try emit.channels(shape.c, of: 1))
        args.dbeta = dbias
        args.scratch = emit.scratch(rk_batch_norm_scratch(args.rows, args.c))
        try emit.add(rk_batch_norm_backward, args, "backward bias")
    }

    private func backwardData(
        _ ddst: BufferID, _ dsrc: GradientTarget, _ step: FusedStep, _ emit: Emitter
    ) throws(RengaError) {
        let plan = try emit.convolutionPlan(step.node, shape(step, emit), RK_CONV_FORWARD, emit.type(of: step))
        let packed = try emit.packedWeight(step.node, plan)
        let macs = macs([emit.shape(step.inputs[0])])
        try emit.convolve(
            plan, packed, from: ddst, to: dsrc.buffer, accumulate: dsrc.accumulate, "backward data", macs: macs)
    }

    /// Of the convolution from dst to src.
    private func shape(_ step: FusedStep, _ emit: Emitter) -> rk_conv_shape {
        let (src, dst, window) = (emit.shape(step.inputs[0]), emit.shape(step.output), mirrored)
        return rk_conv_shape(
            n: Int64(src.n), h: Int64(dst.h), w: Int64(dst.w), c: Int64(dst.c), k: Int64(src.c),
            r: Int64(window.kernelH), s: Int64(window.kernelW), stride_h: Int64(window.strideH),
            stride_w: Int64(window.strideW), pad_top: Int64(window.padTop), pad_left: Int64(window.padLeft),
            pad_bottom: Int64(window.padBottom), pad_right: Int64(window.padRight),
            dilation_h: Int64(window.dilationH), dilation_w: Int64(window.dilationW), groups: Int64(groups),
            oh: Int64(src.h), ow: Int64(src.w))
    }
}
