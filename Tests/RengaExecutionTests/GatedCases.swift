// GatedCases.swift: small networks with gates of stochastic depth, in every place where families put them and in some where they do not.
// Not here: what is asserted about them (GateTests, TrainingPlanTests).
import RengaNetwork
import TestSupport

enum GatedCases {
    static func all() throws -> [Case] {
        var cases: [Case] = []
        for closed in ["run", "skip"] {
            cases.append(Case(name: "gated post-activation, \(closed)", network: try post(["closed": closed])))
            cases.append(Case(name: "gated pre-activation, \(closed)", network: try pre(["closed": closed])))
            cases.append(Case(name: "separated gates, \(closed)", network: try pyramid(["closed": closed])))
            cases.append(Case(name: "gated streams, \(closed)", network: try streams(["closed": closed])))
            cases.append(Case(name: "gates behind gates, \(closed)", network: try nested(["closed": closed])))
        }
        cases.append(
            Case(name: "separated gates for samples", network: try pyramid(["scope": "sample", "closed": "skip"])))
        cases.append(Case(name: "gated post-activation for samples", network: try post(["scope": "sample"])))
        return cases
    }

    /// One of each kind, for tests that take long.
    static func some() throws -> [Case] {
        [
            Case(name: "separated gates", network: try pyramid(["closed": "skip"])),
            Case(name: "gated streams", network: try streams([:])),
            Case(name: "gates for samples", network: try post(["scope": "sample"])),
        ]
    }

    private static func convolution(_ channels: Int, stride: Int = 1) -> Attributes {
        ["channels": "\(channels)", "kernel": "3", "pad": "1", "stride": "\(stride)", "bias": "no"]
    }

    private static func gate(_ attributes: Attributes, _ more: Attributes) -> Attributes {
        attributes.merging(more) { $1 }
    }

    /// relu(gate(bn(conv(relu(bn(conv(x)))))) + x), and with a projection.
    static func post(_ gates: Attributes) throws -> Network {
        var net = try Layers(h: 6, w: 5, c: 3)
        try net.add("convolution", convolution(6))
        try net.add("batch_norm")
        var value = try net.add("relu")
        for (channels, stride) in [(6, 1), (9, 2), (9, 1)] {
            let start = value
            try net.add("convolution", convolution(channels, stride: stride), from: [start])
            try net.add("batch_norm")
            try net.add("relu")
            try net.add("convolution", convolution(channels))
            try net.add("batch_norm")
            let branch = try net.add("stochastic_gate", gate(gates, ["survival": "0.6"]))
            var shortcut = start
            if stride == 2 {
                try net.add(
                    "convolution", ["channels": "9", "kernel": "1", "stride": "2", "bias": "no"], from: [start])
                shortcut = try net.add("batch_norm")
            }
            try net.add("add", from: [branch, shortcut])
            value = try net.add("relu")
        }
        return try net.classifier(seed: 191)
    }

    /// gate(conv(relu(bn(conv(relu(bn(x))))))) + x: the gate follows a convolution.
    static func pre(_ gates: Attributes) throws -> Network {
        var net = try Layers(h: 6, w: 5, c: 3)
        var value = try net.add("convolution", convolution(7))
        for _ in 0..<2 {
            let start = value
            try net.add("batch_norm", from: [start])
            try net.add("relu")
            try net.add("convolution", convolution(7))
            try net.add("batch_norm")
            try net.add("relu")
            try net.add("convolution", convolution(7))
            let branch = try net.add("stochastic_gate", gate(gates, ["survival": "0.6"]))
            value = try net.add("add", from: [start, branch])
        }
        try net.add("batch_norm", from: [value])
        try net.add("relu")
        return try net.classifier(seed: 192)
    }

    /// Pyramidal blocks with a gate for the channels that have a shortcut and one for those that are new.
    static func pyramid(_ gates: Attributes) throws -> Network {
        var net = try Layers(h: 6, w: 5, c: 3)
        var value = try net.add("convolution", convolution(5))
        var width = 5
        for (channels, stride) in [(7, 1), (10, 2), (11, 1)] {
            let start = value
            try net.add("batch_norm", from: [start])
            try net.add("convolution", convolution(channels, stride: stride))
            try net.add("batch_norm")
            try net.add("relu")
            try net.add("convolution", convolution(channels))
            try net.add("batch_norm")
            let options = gate(gates, ["survival": "0.6", "split": "\(width)", "survival_lower": "0.5"])
            let branch = try net.add("stochastic_gate", options)
            var shortcut = start
            if stride == 2 {
                shortcut = try net.add(
                    "average_pool", ["kernel": "2", "stride": "2", "ceil_mode": "yes"], from: [start])
            }
            shortcut = try net.add("channel_pad", ["after": "\(channels - width)"], from: [shortcut])
            value = try net.add("add", from: [branch, shortcut])
            width = channels
        }
        try net.add("batch_norm", from: [value])
        try net.add("relu")
        return try net.classifier(seed: 193)
    }

    /// Two streams that share their mean, each with a gate on its branch; gates of one group; then all in one sum.
    static func streams(_ gates: Attributes) throws -> Network {
        var net = try Layers(h: 6, w: 5, c: 3)
        try net.add("convolution", convolution(6))
        let x = try net.add("relu")
        func branch(_ source: ValueID, _ net: inout Layers) throws -> ValueID {
            try net.add("convolution", convolution(6), from: [source])
            try net.add("batch_norm")
            return try net.add("stochastic_gate", gate(gates, ["survival": "0.5", "group": "3", "correlation": "0.4"]))
        }
        var streams: [ValueID] = []
        for _ in 0..<2 {
            let sum = try net.add("add", from: [try branch(x, &net), x])
            streams.append(try net.add("relu", from: [sum]))
        }
        let mean = try net.add("mean", from: streams)
        let ends = try streams.map { try branch($0, &net) }
        try net.add("add", from: ends + [mean])
        try net.add("relu")
        return try net.classifier(seed: 194)
    }

    /// A gated branch inside a gated branch, a gate on an input of several readers, and one behind a ReLU.
    static func nested(_ gates: Attributes) throws -> Network {
        var net = try Layers(h: 6, w: 5, c: 3)
        let x = try net.add("convolution", convolution(6))
        let inside = try net.add("convolution", convolution(6))
        try net.add("batch_norm")
        let inner = try net.add("stochastic_gate", gate(gates, ["survival": "0.5"]))
        try net.add("add", from: [inner, inside])
        try net.add("convolution", convolution(6))
        try net.add("batch_norm")
        let outer = try net.add("stochastic_gate", gate(gates, ["survival": "0.5"]))
        try net.add("relu", from: [inside])
        let third = try net.add("stochastic_gate", gate(gates, ["survival": "0.5", "split": "2"]))
        let sum = try net.add("add", from: [x, outer])
        try net.add("add", from: [sum, third])
        return try net.classifier(seed: 195)
    }
}
