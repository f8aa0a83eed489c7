// GateTable+Backward.swift: gradients that a backward pass left out would have written: cleared in the runs in which it is.
// Not here: which passes those are (GateTable).
import CRengaKernels
import RengaNetwork

extension GateTable {
    /// Before the backward pass of a step that is left out in some runs: what it alone would write is cleared in those runs. Gradients of
    /// parameters, and those of values that other steps add to.
    func prepareBackward(_ index: Int, _ step: FusedStep, _ emit: Emitter) throws(RengaError) {
        guard skips, entryOfStep[index] != nil || needs[.backward]?[index] != nil else { return }
        let isIdle = try cell(.idle(step: index))
        try emit.only(where: isIdle) { () throws(RengaError) in try emit.clearParameterGradients(step.node) }
        for input in step.inputs where mayMiss(input, from: index) {
            try emit.only(where: isIdle) { () throws(RengaError) in try emit.clearGradient(input) }
        }
        guard let add = step.add, let writes = needs[.backward]?[index], (needOfValue[add] ?? nil) != writes else {
            return
        }
        let isUnneeded = try cell(.unneeded(step: index))
        try emit.only(where: isUnneeded) { () throws(RengaError) in try emit.clearGradient(add) }
    }

    /// Whether the gradient of an input may be wanted in a run in which the step does not write its part of it.
    private func mayMiss(_ value: ValueID, from index: Int) -> Bool {
        guard let writes = entryOfStep[index].map({ [$0] }) ?? needs[.backward]?[index] else { return false }
        return (needOfValue[value] ?? nil) != writes
    }
}

extension Emitter {
    /// Sets the gradients of all parameters of a node to 0.
    fileprivate func clearParameterGradients(_ node: Int) throws(RengaError) {
        let specs = try graph.nodes[node].op.parameters(graph.nodes[node].inputs.map { shape($0) })
        for spec in specs {
            guard let gradient = parameterGradient(node, spec.name) else { continue }
            let bytes = Int64(spec.count * MemoryLayout<Float>.stride)
            try add(rk_clear, rk_clear_args(bytes: bytes, dst: gradient), "backward, closed")
        }
    }

    /// Sets the gradient of a value to 0 if nothing has been written to it yet; the next writer overwrites it.
    fileprivate func clearGradient(_ value: ValueID) throws(RengaError) {
        guard gradients[value] == nil, let target = try gradientTarget(value) else { return }
        try clear(target.buffer, "backward, closed")
        unwritten.insert(value)
    }
}
