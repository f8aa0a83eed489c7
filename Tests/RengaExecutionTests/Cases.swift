// Cases.swift: small networks, one for each operator in each of its forms, and some that combine them as real ones do.
// Not here: what is asserted about them.
import RengaNetwork
import TestSupport

enum Cases {
    /// Attributes of a layer behind a convolution of 7 x 5 maps with 6 channels, by operator.
    private static let layers: [(String, Attributes)] = [
        ("convolution", ["channels": "11", "kernel": "3", "pad": "1"]),
        ("convolution", ["channels": "17", "kernel": "1", "bias": "no"]),
        ("convolution", ["channels": "5", "kernel": "3", "stride": "2", "pad": "1", "bias": "no"]),
        ("convolution", ["channels": "4", "kernel_h": "3", "kernel_w": "2", "pad_top": "2", "pad_right": "1"]),
        ("convolution", ["channels": "8", "kernel": "3", "dilation": "2", "pad": "2", "groups": "2"]),
        ("convolution", ["channels": "6", "kernel": "3", "pad": "1", "groups": "6", "stride_w": "2"]),
        ("batch_norm", [:]), ("batch_norm", ["affine": "no", "epsilon": "0.01"]),
        ("batch_norm", ["mode": "frozen"]), ("batch_norm", ["mode": "frozen_statistics"]),
        ("relu", [:]), ("prelu", [:]),
        ("max_pool", ["kernel": "3", "stride": "2", "pad": "1"]),
        ("max_pool", ["kernel": "2", "stride": "2", "ceil_mode": "yes"]),
        ("max_pool", ["kernel": "2", "dilation": "2"]),
        ("average_pool", ["kernel": "3", "stride": "2", "pad": "1"]),
        ("average_pool", ["kernel": "3", "stride": "2", "pad": "1", "count_include_pad": "no"]),
        ("average_pool", ["kernel": "2", "stride": "3", "ceil_mode": "yes"]),
        ("channel_slice", ["begin": "1", "count": "3"]), ("channel_pad", ["before": "2", "after": "3"]),
        ("softmax", [:]), ("dropout", ["rate": "0.4"]), ("global_average_pool", [:]),
        ("stochastic_gate", ["survival": "0.7"]),
        ("stochastic_gate", ["scope": "sample", "split": "2", "survival_lower": "0.3"]),
    ]

    /// One operator each, between a convolution and a classifier.
    static func operators() throws -> [Case] {
        var cases: [Case] = []
        for (op, attributes) in layers + ImportedCases.layers {
            var net = try Layers(h: 7, w: 5, c: 3)
            try net.add("convolution", ["channels": "6", "kernel": "3", "pad": "1"])
            try net.add(op, attributes)
            let options = attributes.sorted { $0.key < $1.key }.map { "\($0)=\($1)" }.joined(separator: ",")
            cases.append(Case(name: "\(op) \(options)", network: try net.classifier(seed: UInt64(cases.count))))
        }
        return cases
    }

    /// Sums, means, concatenations, flattened maps, values with many readers.
    static func combined() throws -> [Case] {
        var cases: [Case] = []
        func add(_ name: String, _ make: (inout Layers, ValueID) throws -> Void) throws {
            var net = try Layers(h: 5, w: 7, c: 3)
            let first = try net.add("convolution", ["channels": "6", "kernel": "3", "pad": "1"])
            try make(&net, first)
            cases.append(Case(name: name, network: try net.classifier(seed: 50 + UInt64(cases.count))))
        }
        let conv: Attributes = ["channels": "6", "kernel": "3", "pad": "1", "bias": "no"]
        try add("add of itself") { try $0.add("add", from: [$1, $1]) }
        try add("add of three with relu") { net, x in
            let a = try net.add("convolution", conv)
            let b = try net.add("max_pool", ["kernel": "3", "pad": "1"], from: [x])
            try net.add("add", from: [a, b, x])
            try net.add("relu")
        }
        try add("add of twelve") { net, x in
            let terms = try (0..<11).map { _ in try net.add("convolution", ["channels": "6", "kernel": "1"], from: [x])
            }
            try net.add("add", from: terms + [x])
        }
        try add("mean with relu") { net, x in
            let a = try net.add("convolution", conv)
            try net.add("mean", from: [a, x, a])
            try net.add("relu")
        }
        try add("weighted sum of many readers") { net, x in
            let a = try net.add("convolution", conv)
            let b = try net.add("weighted_sum", ["weights": "0.75 -1.5 0.3"], from: [a, x, a])
            let one = try net.add("weighted_sum", ["weights": "2"], from: [b])
            try net.add("add", from: [b, one, a])
        }
        try add("mean of many readers") { net, x in
            let a = try net.add("convolution", conv)
            let m = try net.add("mean", from: [a, x])
            let b = try net.add("relu", from: [m])
            try net.add("add", from: [b, m, a])
        }
        try add("concat, slice and pad") { net, x in
            let a = try net.add("channel_slice", ["begin": "2", "count": "4"])
            let b = try net.add("channel_pad", ["before": "1"], from: [x])
            try net.add("concat", from: [a, x, b, a])
        }
        try add("slices of one value") { net, x in
            let a = try net.add("channel_slice", ["begin": "0", "count": "4"], from: [x])
            let b = try net.add("channel_slice", ["begin": "2", "count": "4"], from: [x])
            let c = try net.add("softmax", from: [a])
            try net.add("add", from: [b, c])
        }
        try add("flatten and linear") { net, x in
            try net.add("max_pool", ["kernel": "2", "stride": "2"])
            try net.add("flatten")
            try net.add("linear", ["channels": "13"])
            try net.add("prelu")
            try net.add("linear", ["channels": "7", "bias": "no"])
            try net.add("relu")
        }
        try add("convolutions with clip and hard swish") { net, x in
            let clip = ["function": "clip", "alpha": "-0.1", "beta": "0.3"]
            let a = try net.add("convolution", conv, from: [x])
            try net.add("add", from: [a, x])
            try net.add("activation", clip)
            try net.add("max_pool", ["kernel": "2", "stride": "2"])
            try net.add("convolution", ["channels": "19", "kernel": "1"])
            try net.add("activation", ["function": "hard_swish"])
            try net.add("convolution", ["channels": "19", "kernel": "3", "pad": "1", "groups": "19"])
            try net.add("activation", clip)
            try net.add("convolution", ["channels": "7", "kernel": "3", "stride": "2", "pad": "1"])
            try net.add("activation", ["function": "hard_swish"])
        }
        try add("flatten with two readers") { net, x in
            let pooled = try net.add("global_average_pool")
            let flat = try net.add("flatten")
            let sum = try net.add("linear", ["channels": "6"], from: [flat])
            try net.add("add", from: [sum, pooled])
        }
        try add("convolution added to its own input") { net, x in
            let a = try net.add("convolution", conv)
            try net.add("add", from: [a, x])
            try net.add("relu")
        }
        try add("batch norm added to its own input") { net, x in
            let a = try net.add("batch_norm")
            try net.add("add", from: [x, a])
            try net.add("relu")
        }
        try add("two relus and dropouts of one value") { net, x in
            let a = try net.add("relu", from: [x])
            let b = try net.add("relu", from: [x])
            let c = try net.add("dropout", from: [x])
            let d = try net.add("dropout", from: [a])
            try net.add("concat", from: [a, b, c, d])
        }
        try addPadded(add)
        return cases + (try blocks()) + (try GatedCases.some()) + (try ImportedCases.combined())
    }

    /// Sums with a map of 6 channels behind which there are zero channels: what takes them in, with and without an activation, and what
    /// cannot.
    private static func addPadded(
        _ add: (String, (inout Layers, ValueID) throws -> Void) throws -> Void
    ) throws {
        let wide: Attributes = ["channels": "19", "kernel": "3", "pad": "1", "bias": "no"]
        let norm: (inout Layers, ValueID) throws -> ValueID = { net, x in
            try net.add("convolution", wide, from: [x])
            return try net.add("batch_norm")
        }
        let makers: [(String, (inout Layers, ValueID) throws -> ValueID)] = [
            ("batch norm", norm),
            (
                "frozen batch norm",
                { net, x in
                    try net.add("convolution", wide, from: [x])
                    return try net.add("batch_norm", ["mode": "frozen_statistics"])
                }
            ),
            ("convolution", { net, x in try net.add("convolution", wide, from: [x]) }),
            (
                "gates of samples",
                { net, x in
                    let value = try norm(&net, x)
                    return try net.add("stochastic_gate", ["scope": "sample", "split": "6"], from: [value])
                }
            ),
            ("gate", { net, x in try net.add("stochastic_gate", ["split": "6"], from: [try norm(&net, x)]) }),
            (
                "pooling",
                { net, x in
                    try net.add("convolution", wide, from: [x])
                    return try net.add("max_pool", ["kernel": "3", "pad": "1"])
                }
            ),
        ]
        for (name, make) in makers {
            for activation in name == "convolution" ? ["", "relu", "prelu"] : ["", "relu"] {
                try add("zero-padded shortcut, \(name) \(activation)") { net, x in
                    let branch = try make(&net, x)
                    let pad = try net.add("channel_pad", ["after": "13"], from: [x])
                    try net.add("add", from: activation == "" ? [pad, branch] : [branch, pad])
                    if activation != "" { try net.add(activation) }
                    try net.add("max_pool", ["kernel": "2", "stride": "2"])
                }
            }
        }
        try add("zero-padded shortcut of two readers, of two padded maps, and with zeros before") { net, x in
            let pad = try net.add("channel_pad", ["after": "13"], from: [x])
            let one = try net.add("add", from: [try norm(&net, x), pad])
            let two = try net.add("add", from: [try norm(&net, one), pad])
            let small = try net.add("relu", from: [x])
            let first = try net.add("channel_pad", ["after": "13"], from: [small])
            let second = try net.add("channel_pad", ["before": "12", "after": "1"], from: [small])
            let pads = try net.add("add", from: [first, second])
            try net.add("add", from: [two, pads])
        }
    }

    /// Residual blocks: post- and pre-activation, with identity, projection and zero-padded shortcuts.
    static func blocks() throws -> [Case] {
        var post = try Layers(h: 6, w: 7, c: 3)
        try post.add("convolution", ["channels": "6", "kernel": "3", "pad": "1", "bias": "no"])
        try post.add("batch_norm")
        let x = try post.add("relu")
        try addBranch(&post, channels: 6, stride: 1)
        try post.add("add", from: [post.last, x])
        let y = try post.add("relu")
        let branch = try addBranch(&post, channels: 9, stride: 2)
        try post.add("convolution", ["channels": "9", "kernel": "1", "stride": "2", "bias": "no"], from: [y])
        let shortcut = try post.add("batch_norm")
        try post.add("add", from: [branch, shortcut])
        try post.add("relu")

        var pre = try Layers(h: 6, w: 7, c: 3)
        var value = try pre.add("convolution", ["channels": "6", "kernel": "3", "pad": "1", "bias": "no"])
        for (channels, stride) in [(6, 1), (6, 1), (9, 2)] {
            let start = value
            let c = "\(channels)"
            try pre.add("batch_norm", from: [value])
            try pre.add("relu")
            try pre.add("convolution", ["channels": c, "kernel": "3", "pad": "1", "stride": "\(stride)", "bias": "no"])
            try pre.add("batch_norm")
            try pre.add("relu")
            let branch = try pre.add("convolution", ["channels": c, "kernel": "3", "pad": "1", "bias": "no"])
            var shortcut = start
            if stride == 2 {
                try pre.add("average_pool", ["kernel": "2", "stride": "2", "ceil_mode": "yes"], from: [start])
                shortcut = try pre.add("channel_pad", ["after": "3"])
            }
            value = try pre.add("add", from: [shortcut, branch])
        }
        try pre.add("batch_norm", from: [value])
        try pre.add("relu")
        return [
            Case(name: "post-activation blocks", network: try post.classifier(seed: 91)),
            Case(name: "pre-activation blocks", network: try pre.classifier(seed: 92)),
        ]
    }

    @discardableResult
    private static func addBranch(_ net: inout Layers, channels: Int, stride: Int) throws -> ValueID {
        let attributes: Attributes = ["channels": "\(channels)", "kernel": "3", "pad": "1", "bias": "no"]
        try net.add("convolution", attributes.merging(["stride": "\(stride)"]) { $1 })
        try net.add("batch_norm")
        try net.add("relu")
        try net.add("convolution", attributes)
        return try net.add("batch_norm")
    }

    static func all() throws -> [Case] { try operators() + combined() }
}
