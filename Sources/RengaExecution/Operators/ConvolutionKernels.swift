// ConvolutionKernels.swift: what convolution and the fully connected layer (a 1x1 convolution of a 1x1 map) share: both passes.
// Not here: their shapes (Convolution.swift, Linear.swift).
import CRengaKernels
import RengaNetwork

/// Emits the passes of a convolution of the given shape, for the step of node `step.node`.
struct ConvolutionKernels {
    let step: FusedStep
    let shape: rk_conv_shape
    let macs: Int
    let hasBias: Bool

    /// In a band where its maps and weights are small.
    func locality(_ emit: Emitter) -> Locality {
        let weights = shape.r * shape.s * (shape.c / max(shape.groups, 1)) * shape.k
        let maps = step.inputs + [step.output] + step.added(in: emit.graph)
        return emit.fits(maps, weights: Int(clamping: weights)) ? .images : .batch
    }

    /// Packs the weights of a pass before its band.
    func prepare(_ emit: Emitter, backward: Bool) throws(RengaError) {
        let isWanted = !backward || emit.needsGradient.contains(step.inputs[0])
        guard emit.settings.purpose == .training, isWanted else { return }
        let pass = backward ? RK_CONV_BACKWARD_DATA : RK_CONV_FORWARD
        try emit.prepareWeight(step.node, try emit.convolutionPlan(step.node, shape, pass, emit.type(of: step)))
    }

    /// dst = pool(activation(conv(src, weight) + bias + add)). A pooling, or a sum with fewer channels, that the algorithm cannot take in
    /// follows it; a mean that it cannot goes before it.
    func forward(_ emit: Emitter) throws(RengaError) {
        var own = step
        (own.output, own.pool) = (step.unpooled(in: emit.graph), nil)
        let plan = try emit.convolutionPlan(step.node, shape, RK_CONV_FORWARD, emit.type(of: own))
        let addsFewer = step.fewerAdded(in: emit.graph) != nil && plan.adds & Int32(RK_CONV_ADDS_FEWER) == 0
        if addsFewer { (own.add, own.activation) = (nil, .none) }
        if let mean = own.mean, plan.adds & Int32(RK_CONV_ADDS_MEAN) == 0 {
            (own.add, own.mean) = (try made(mean, emit), nil)
        }
        let packed = try emit.packedWeight(step.node, plan)
        let pools = step.pool != nil && plan.pools != 0 && emit.type(of: step) == emit.type(of: own)
        let src = try emit.input(step.inputs[0], of: own)
        let added = try own.added(in: emit.graph).map { value throws(RengaError) in try emit.input(value, of: own) }
        let dst = try emit.value(pools ? step.output : own.output)
        var args = rk_conv_forward_args()
        args.pool = pools ? 1 : 0
        args.plan = try emit.keep(plan)
        args.src = UnsafeRawPointer(emit.pointer(src))
        args.packed = UnsafePointer(emit.floats(packed))
        if hasBias { args.bias = UnsafePointer(emit.floats(try emit.parameter(step.node, "bias"))) }
        if let add = added.first {
            // dst may lie on what is added, but not where that is src itself or the two differ in size.
            let differ = pools || own.fewerAdded(in: emit.graph) != nil
            for map in added where map != src && !differ { emit.mayReplace(map, by: dst) }
            args.add = UnsafeRawPointer(emit.pointer(add))
            if added.count == 2 { args.second = UnsafeRawPointer(emit.pointer(added[1])) }
            args.add_c = emit.addedChannels(own)
        }
        switch own.activation {
        case .none: args.activation = RK_ACTIVATION_NONE
        case .relu: args.activation = RK_ACTIVATION_RELU
        case .prelu(let node):
            args.activation = RK_ACTIVATION_PRELU
            args.slope = try slopes(node, emit)
        case .bounded(let node):
            guard let op = emit.graph.nodes[node].op as? Activation else { break }
            args.activation = op.function == .clip ? RK_ACTIVATION_CLIP : RK_ACTIVATION_HARD_SWISH
            args.slope = try emit.table(2) { bounds in
                (bounds[0], bounds[1]) = (Float(op.alpha), Float(op.beta))
            }
        }
        args.dst = emit.pointer(dst)
        args.scratch = emit.scratch(Int(clamping: plan.scratch_floats))
        try emit.add(rk_conv_forward, args, algorithm: algorithmName(plan.algorithm), macs: macs)
        if addsFewer { try emit.addFewer(step) }
        guard let pool = step.pool, !pools else { return }
        let rest = FusedStep(node: pool, inputs: [own.output], output: step.output, nodes: [pool])
        try emit.graph.nodes[pool].executable().forward(rest, emit)
    }

    /// A mean that the kernel does not make: the first of its readers does so for all.
    private func made(_ node: Int, _ emit: Emitter) throws(RengaError) -> ValueID {
        let value = emit.graph.value(ofNode: node)
        guard !emit.isMade(value) else { return value }
        let inputs = emit.graph.nodes[node].inputs
        let own = FusedStep(node: node, inputs: inputs, output: value, nodes: [node])
        try emit.graph.nodes[node].executable().forward(own, emit)
        return value
    }

    /// Of a PReLU, or of a leaky ReLU the same for all channels.
    private func slopes(_ node: Int, _ emit: Emitter) throws(RengaError) -> UnsafePointer<Float>? {
        guard let leaky = emit.graph.nodes[node].op as? Activation else {
            return UnsafePointer(emit.floats(try emit.parameter(node, "slope")))
        }
        return try emit.channels(Int(shape.k), of: Float(leaky.alpha))
    }

    /// The weights' gradient before that of src: src is then free for others.
    func backward(_ emit: Emitter) throws(RengaError) {
        if step.activation == .relu { try emit.maskGradient(step.output) }
        let ddst = try emit.gradient(step.output)
        if let dweight = emit.parameterGradient(step.node, "weight") { try backwardWeight(ddst, dweight, emit) }
        if let dsrc = try emit.gradientTarget(step.inputs[0], of: step) { try backwardData(ddst, dsrc, emit) }
        try emit.passGradient(ddst, toAddOf: step)
    }

    private func backwardWeight(
        _ ddst: BufferID, _ dweight: UnsafeMutablePointer<Float>, _ emit: Emitter
    ) throws(RengaError) {
        let plan = try emit.convolutionPlan(step.node, shape, RK_CONV_BACKWARD_WEIGHT, emit.type(of: step))
        let src = try emit.input(step.inputs[0], of: step)
        let weightPart = try emit.partial(step.node, "weight", dweight)
        var biasPart: UnsafeMutablePointer<Float>?
        if hasBias, let dbias = emit.parameterGradient(step.node, "bias") {
            biasPart = try emit.partial(step.node, "bias", dbias)
        }
        try emit.weightGradient(plan, src: src, ddst: ddst, to: weightPart, dbias: biasPart, macs: macs)
    }

    private func backwardData(_ ddst: BufferID, _ dsrc: GradientTarget, _ emit: Emitter) throws(RengaError) {
        let plan = try emit.convolutionPlan(step.node, shape, RK_CONV_BACKWARD_DATA, emit.type(of: step))
        let packed = try emit.packedWeight(step.node, plan)
        try emit.convolveBack(
            plan, packed, from: ddst, to: dsrc.buffer, accumulate: dsrc.accumulate, "backward data", macs: macs)
    }
}
