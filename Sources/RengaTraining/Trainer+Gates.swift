// Trainer+Gates.swift: the gates of stochastic depth as a caller sees them: which were open, and taking others than those drawn.
// Not here: their law (RengaNetwork.StochasticGate), what is left out behind a closed one (RengaExecution.GateTable).
public import RengaExecution
public import RengaNetwork

extension Trainer {
    /// The gates of the last step, in the order of the layers; all open before the first, empty where the network has none.
    public var gates: [GateRecord] {
        (try? lock.reading { () throws(RengaError) in plan.gates?.records ?? [] }) ?? []
    }

    /// Takes these gates from the next step on: by layer one value for each of its gates, for all samples; other layers go on drawing.
    /// nil: all are drawn again, as if they had been all along. Not part of a checkpoint.
    /// Errors: notFound (a layer without gates), invalidArgument (the number of its gates), busy.
    public func forceGates(_ gates: [String: [Bool]]?) throws(RengaError) {
        try lock.running("forceGates") { () throws(RengaError) in
            guard let table = plan.gates else {
                guard let layer = gates?.keys.min() else { return }
                throw RengaError(.notFound, "the network has no gate in a layer '\(layer.prefix(200))'")
            }
            try table.force(gates)
        }
    }

    /// The same as text: "layer=1,other=01", a digit for each gate (1 = open), that of the channels with a shortcut first; nil: all drawn.
    public func forceGates(text: String?) throws(RengaError) {
        guard let text else { return try forceGates(nil) }
        var gates: [String: [Bool]] = [:]
        for (layer, digits) in try Attributes(text: text) {
            guard !digits.isEmpty, digits.allSatisfy({ $0 == "0" || $0 == "1" }) else {
                throw RengaError(
                    .invalidArgument,
                    "the gates of layer '\(layer.prefix(200))' must be digits 0 (closed) or 1 (open), got "
                        + "'\(digits.prefix(80))'")
            }
            gates[layer] = digits.map { $0 == "1" }
        }
        try forceGates(gates)
    }
}
