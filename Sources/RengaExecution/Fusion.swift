// Fusion.swift: which nodes run as one step: an operator with the sum, the activation and the pooling that follow it; of a sum's operands,
// zero channels behind one are left out, and a mean is left to those who add it. A pure function of the graph.
// Not here: batch norm into convolutions (RengaRewrites.FoldBatchNorm), how a step runs (Operators/).
import RengaNetwork

/// Turns nodes into steps.
package enum Fusion {
    /// The steps of all live nodes, in an order in which each reads only what stands before it. `fuse` false: one step a node.
    package static func steps(_ graph: Graph, _ purpose: Purpose, fuse: Bool = true) throws(RengaError) -> [FusedStep] {
        var pass = FusionPass(graph: graph, purpose: purpose, uses: graph.uses())
        for (index, node) in graph.nodes.enumerated() where graph.isLive[graph.value(ofNode: index)] {
            if fuse, try pass.absorb(index, node) { continue }
            let output = graph.value(ofNode: index)
            pass.steps[output] = FusedStep(node: index, inputs: node.inputs, output: output, nodes: [index])
        }
        if fuse { try pass.joinMeans() }
        // A step stands where its last node stood: everything that it reads was made by then.
        return pass.steps.values.sorted { $0.output < $1.output }
    }
}

private struct FusionPass {
    let graph: Graph
    let purpose: Purpose
    let uses: [Int]
    /// Steps so far, by the value that they make.
    var steps: [ValueID: FusedStep] = [:]

    /// Takes the node into the step before it, where there is one that can.
    mutating func absorb(_ index: Int, _ node: Node) throws(RengaError) -> Bool {
        if node.op is Add { return try absorbAdd(index, node) }
        if let gate = node.op as? StochasticGate { return try absorbGate(gate, index, node) }
        if let pool = node.op as? MaxPool { return try absorbPool(index, node, pool) }
        guard let (activation, wish) = activation(index, node), let value = node.inputs.first,
            var step = step(before: value)
        else { return false }
        let fusible = try graph.nodes[step.node].executable().fusible(purpose)
        guard step.activation == .none, step.pool == nil, fusible.contains(wish),
            activation == .relu || step.fewerAdded(in: graph) == nil
        else { return false }
        step.activation = activation
        replace(value, by: step, ending: index)
        return true
    }

    /// A node as what may follow within a step, and what the operator before it must be able to do.
    private func activation(_ index: Int, _ node: Node) -> (StepActivation, Fusible)? {
        if node.op is ReLU { return (.relu, .relu) }
        if node.op is PReLU { return (.prelu(node: index), .prelu) }
        switch (node.op as? Activation)?.function {
        case .leakyReLU: return (.prelu(node: index), .prelu)
        case .clip, .hardSwish: return (.bounded(node: index), .bounded)
        default: return nil
        }
    }

    /// A gate that one draw opens or closes as a whole leaves the choice between steps, and so needs nothing of the operator's kernels.
    private mutating func absorbGate(
        _ gate: StochasticGate, _ index: Int, _ node: Node
    ) throws(RengaError) -> Bool {
        guard purpose == .training, gate.scope == .batch, let value = node.inputs.first, var step = step(before: value),
            step.activation == .none, step.add == nil, step.gate == nil,
            try graph.nodes[step.node].executable().fusible(purpose).contains(.gate)
        else { return false }
        step.gate = index
        replace(value, by: step, ending: index)
        return true
    }

    private mutating func absorbAdd(_ index: Int, _ node: Node) throws(RengaError) -> Bool {
        guard node.inputs.count == 2, node.inputs[0] != node.inputs[1] else { return false }
        // The later one first: the other operand is then ready for sure, and the step need not wait.
        for value in node.inputs.sorted(by: >) {
            guard var step = step(before: value), step.activation == .none, step.add == nil, step.pool == nil else {
                continue
            }
            let other = node.inputs[0] == value ? node.inputs[1] : node.inputs[0]
            let fusible = try graph.nodes[step.node].executable().fusible(purpose)
            if fusible.contains(.addOfFewer), let (bare, pad) = unpadded(other) {
                take(bare, from: pad, into: &step)
            } else {
                guard fusible.contains(step.inputs.contains(other) ? .addOfInput : .add) else { continue }
                step.add = other
            }
            replace(value, by: step, ending: index)
            return true
        }
        return addUnpadded(index, node)
    }

    /// A sum that no step before it takes in, of a value and one with zero channels behind it.
    private mutating func addUnpadded(_ index: Int, _ node: Node) -> Bool {
        for (full, padded) in [(node.inputs[0], node.inputs[1]), (node.inputs[1], node.inputs[0])] {
            guard let (bare, pad) = unpadded(padded) else { continue }
            let output = graph.value(ofNode: index)
            var step = FusedStep(node: index, inputs: [full], output: output, nodes: [index])
            take(bare, from: pad, into: &step)
            steps[output] = step
            return true
        }
        return false
    }

    /// What `value` is without the zero channels behind it, and the node that would make them; nil where there are none, or where
    /// others read it.
    private func unpadded(_ value: ValueID) -> (bare: ValueID, pad: Int)? {
        guard let step = step(before: value), let pad = graph.nodes[step.node].op as? ChannelPad, pad.before == 0,
            pad.after > 0
        else { return nil }
        return (step.inputs[0], step.node)
    }

    /// The zeros are never made.
    private mutating func take(_ bare: ValueID, from pad: Int, into step: inout FusedStep) {
        step.add = bare
        step.nodes.append(pad)
        steps[graph.value(ofNode: pad)] = nil
    }

    private mutating func absorbPool(_ index: Int, _ node: Node, _ pool: MaxPool) throws(RengaError) -> Bool {
        guard let value = node.inputs.first, var step = step(before: value), step.pool == nil,
            step.fewerAdded(in: graph) == nil, pool.window == Window(kernel: 2, stride: 2), !pool.ceilMode,
            try graph.nodes[step.node].executable().fusible(purpose).contains(.pool)
        else { return false }
        step.pool = index
        replace(value, by: step, ending: index)
        return true
    }

    /// A mean of two maps that two convolutions add, or one, is left to these: four maps are read, where making it would read two more and
    /// write one. Of more maps or for more readers it would be the other way round.
    mutating func joinMeans() throws(RengaError) {
        for (value, step) in steps where step.nodes.count == 1 && step.inputs.count == 2 {
            let readers = steps.values.filter { $0.add == value }
            guard graph.nodes[step.node].op is Mean, readers.count == uses[value], readers.count <= 2,
                try addMeans(readers, value)
            else { continue }
            steps[value] = nil
            for var reader in readers {
                (reader.add, reader.mean) = (nil, step.node)
                reader.nodes = (reader.nodes + [step.node]).sorted()
                steps[reader.output] = reader
            }
        }
    }

    private func addMeans(_ readers: [FusedStep], _ value: ValueID) throws(RengaError) -> Bool {
        for reader in readers {
            let fusible = try graph.nodes[reader.node].executable().fusible(purpose)
            guard fusible.contains(.addOfMean), reader.pool == nil, graph.shapes[value] == graph.shapes[reader.output]
            else { return false }
        }
        return true
    }

    /// The step that makes `value`, if nobody else reads it.
    private func step(before value: ValueID) -> FusedStep? { uses[value] == 1 ? steps[value] : nil }

    private mutating func replace(_ value: ValueID, by step: FusedStep, ending index: Int) {
        var step = step
        step.nodes.append(index)
        step.output = graph.value(ofNode: index)
        steps[value] = nil
        steps[step.output] = step
    }
}
