// ParameterBlobs.swift: the parameters of a training plan: one blob of what is trained, one of its gradients, one of what is not.
// Not here: how they are updated (RengaTraining).
import CRengaKernels
import RengaNetwork

/// Where one parameter lies in its blob.
package struct ParameterSlot: Sendable, Equatable {
    /// "layer.weight".
    package let name: String
    /// What it is for.
    package let role: ParameterRole
    /// First float in the blob; a multiple of 16.
    package let offset: Int
    /// Number of floats.
    package let count: Int
    /// Extents, slowest first.
    package let dimensions: [Int]
}

/// All parameters of a network in flat memory. Floats between two slots are zero.
final class ParameterBlobs: WeightSource {
    let trainable: [ParameterSlot]
    /// Running statistics, and the gammas and betas of frozen batch norms.
    let fixed: [ParameterSlot]
    let parameters: Buffer
    let gradients: Buffer
    let statistics: Buffer
    let parameterFloats: Int
    let statisticFloats: Int
    var algorithms: [String: rk_conv_algorithm] = [:]
    private var places: [String: (isTrainable: Bool, offset: Int, count: Int)] = [:]

    /// allocates false: for sizes and a measuring pass alone; nothing may be read or written.
    init(_ network: Network, allocates: Bool = true) throws(RengaError) {
        let shapes = try network.shapes(n: 1)
        var trainable = SlotList()
        var fixed = SlotList()
        for (index, node) in network.nodes.enumerated() {
            for (name, spec) in try network.parameterSpecs(ofNode: index, shapes: shapes) {
                if ParameterBlobs.isTrained(spec.role, node.op) {
                    try trainable.append(name, spec)
                } else {
                    try fixed.append(name, spec)
                }
            }
        }
        (self.trainable, parameterFloats) = (trainable.slots, trainable.floats)
        (self.fixed, statisticFloats) = (fixed.slots, fixed.floats)
        parameters = try Buffer(floats: allocates ? trainable.floats : 0, for: "the parameters")
        gradients = try Buffer(floats: allocates ? trainable.floats : 0, for: "the gradients")
        statistics = try Buffer(floats: allocates ? fixed.floats : 0, for: "the running statistics")
        for slot in trainable.slots { places[slot.name] = (true, slot.offset, slot.count) }
        for slot in fixed.slots { places[slot.name] = (false, slot.offset, slot.count) }
    }

    /// Bytes of the three, allocated or not.
    var bytes: Int { (2 * parameterFloats + statisticFloats) * MemoryLayout<Float>.stride }

    private static func isTrained(_ role: ParameterRole, _ op: any Operator) -> Bool {
        guard role.isTrainable else { return false }
        if let norm = op as? BatchNorm { return norm.mode != .frozen }
        return (op as? Scale)?.isFrozen != true
    }

    func parameter(_ name: String) throws(RengaError) -> (pointer: UnsafeMutablePointer<Float>, floats: Int) {
        guard let place = places[name] else { throw RengaError(.internalFault, "no parameter '\(name)' in the plan") }
        let blob = place.isTrainable ? parameters : statistics
        return (blob.floats + place.offset, place.count)
    }

    func withValues(
        _ name: String, _ body: (UnsafeBufferPointer<Float>) throws(RengaError) -> Void
    ) throws(RengaError) {
        let (pointer, floats) = try parameter(name)
        try body(UnsafeBufferPointer(start: pointer, count: floats))
    }

    func gradient(_ name: String) -> UnsafeMutablePointer<Float>? {
        guard let place = places[name], place.isTrainable else { return nil }
        return gradients.floats + place.offset
    }

    /// Takes all values from a network of the same structure; all or nothing.
    func load(from network: Network) throws(RengaError) {
        for slot in trainable + fixed {
            guard let parameter = network.parameters[slot.name], parameter.tensor.dimensions == slot.dimensions else {
                throw RengaError(
                    .shapeMismatch, "parameter '\(slot.name)' \(slot.dimensions) is missing or has another shape")
            }
        }
        for slot in trainable + fixed {
            let target = try parameter(slot.name).pointer
            network.parameters[slot.name]?.tensor.withUnsafeValues { values in
                if let base = values.baseAddress { target.update(from: base, count: slot.count) }
            }
        }
    }

    /// Puts all values into a network of the same structure; all or nothing.
    func store(into network: inout Network) throws(RengaError) {
        var copy = network
        for slot in trainable + fixed {
            let source = try parameter(slot.name).pointer
            var tensor = try Tensor(dimensions: slot.dimensions)
            tensor.withUnsafeMutableValues { values in
                if let base = values.baseAddress { base.update(from: source, count: slot.count) }
            }
            try copy.setParameter(slot.name, tensor)
        }
        network = copy
    }
}

/// Slots one behind the other.
private struct SlotList {
    var slots: [ParameterSlot] = []
    var floats = 0

    mutating func append(_ name: String, _ spec: ParameterSpec) throws(RengaError) {
        let count = spec.count
        let slot = ParameterSlot(
            name: name, role: spec.role, offset: floats, count: count, dimensions: spec.dimensions)
        let (end, overflow) = floats.addingReportingOverflow(count)
        // A parameter has at most 2^40 elements, so rounding up cannot overflow where the sum did not.
        guard !overflow, end < 1 << 60 else {
            throw RengaError(.outOfMemory, "the parameters are larger than any memory")
        }
        slots.append(slot)
        floats = (end + 15) / 16 * 16
    }
}
