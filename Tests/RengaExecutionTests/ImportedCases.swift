// ImportedCases.swift: the cases of the operators that imported networks bring.
import RengaNetwork
import TestSupport

enum ImportedCases {
    /// Attributes of a layer behind a convolution of 7 x 5 maps with 6 channels, by operator.
    static let layers: [(String, Attributes)] = [
        ("activation", ["function": "sigmoid"]), ("activation", ["function": "tanh"]),
        ("activation", ["function": "leaky_relu"]),
        ("activation", ["function": "clip", "alpha": "-0.3", "beta": "0.5"]),
        ("activation", ["function": "hard_sigmoid", "alpha": "0.4"]), ("activation", ["function": "hard_swish"]),
        ("activation", ["function": "elu", "alpha": "1.5"]), ("activation", ["function": "softplus"]),
        ("activation", ["function": "silu"]), ("scale", [:]), ("scale", ["frozen": "yes"]), ("softmax", ["log": "yes"]),
        ("softmax", ["axis": "w"]),
        ("softmax", ["axis": "h", "log": "yes"]),
        ("flatten", ["order": "nchw"]), ("global_max_pool", [:]),
        ("lrn", ["size": "3", "alpha": "0.5", "beta": "0.6"]),
        ("lrn", ["size": "4", "alpha": "2", "bias": "2"]),
        ("average_pool", ["kernel": "2", "dilation": "3", "pad": "1"]),
        (
            "average_pool",
            ["kernel": "3", "dilation_h": "2", "pad": "1", "count_include_pad": "no", "ceil_mode": "yes"]
        ),
        ("max_pool", ["kernel": "3", "pad_top": "2", "pad_right": "1", "stride": "2"]),
        ("pad", ["top": "1", "right": "2", "left": "-1", "after": "2", "value": "0.5"]),
        ("pad", ["top": "3", "bottom": "2", "left": "4", "right": "1", "mode": "reflect"]),
        ("pad", ["top": "2", "right": "3", "before": "1", "mode": "edge"]),
        ("pad", ["left": "2", "top": "1", "mode": "wrap"]),
        ("slice", ["start_h": "1", "end_h": "-1", "step_w": "2"]),
        ("slice", ["start_h": "-1", "end_h": "-100", "step_h": "-2", "start_c": "1", "step_c": "2"]),
        ("resize", ["scale_h": "2", "scale_w": "3"]), ("resize", ["mode": "linear", "height": "9", "width": "4"]),
        ("resize", ["mode": "linear", "coordinates": "align_corners", "height": "3", "width": "8"]),
        ("conv_transpose", ["channels": "4", "kernel": "3"]),
        (
            "conv_transpose",
            ["channels": "5", "kernel": "3", "stride": "2", "pad": "1", "output_pad": "1", "bias": "no"]
        ),
        ("conv_transpose", ["channels": "8", "kernel": "2", "dilation": "2", "groups": "2", "pad_left": "1"]),
        ("conv_transpose", ["channels": "6", "kernel": "4", "stride": "2", "pad": "1", "groups": "6"]),
    ]

    /// Squeeze and excite, broadcasts, and what follows scales and transposed convolutions in their steps.
    static func combined() throws -> [Case] {
        var cases: [Case] = []
        func add(_ name: String, _ make: (inout Layers, ValueID) throws -> Void) throws {
            var net = try Layers(h: 5, w: 6, c: 3)
            let first = try net.add("convolution", ["channels": "6", "kernel": "3", "pad": "1"])
            try make(&net, first)
            cases.append(Case(name: name, network: try net.classifier(seed: 150 + UInt64(cases.count))))
        }
        try add("squeeze and excite") { net, x in
            try net.add("global_average_pool")
            try net.add("convolution", ["channels": "3", "kernel": "1"])
            try net.add("activation", ["function": "silu"])
            try net.add("convolution", ["channels": "6", "kernel": "1"])
            let gate = try net.add("activation", ["function": "sigmoid"])
            try net.add("arithmetic", ["function": "multiply"], from: [x, gate])
        }
        for function in ["add", "subtract", "divide", "maximum", "minimum"] {
            try add("\(function) of a mask and two maps") { net, x in
                try net.add("convolution", ["channels": "1", "kernel": "1"], from: [x])
                // Away from 0, for quotients.
                let mask = try net.add("activation", ["function": "softplus"])
                let masked = try net.add("arithmetic", ["function": function], from: [x, mask])
                try net.add("activation", ["function": "softplus"], from: [x])
                try net.add("arithmetic", ["function": function], from: [masked, net.last])
            }
        }
        try add("square") { try $0.add("arithmetic", ["function": "multiply"], from: [$1, $1]) }
        try add("scale with sum and relu") { net, x in
            try net.add("convolution", ["channels": "6", "kernel": "1"])
            try net.add("relu")
            let scaled = try net.add("scale")
            try net.add("add", from: [x, scaled])
            try net.add("relu")
        }
        try add("transposed convolution with sum and relu") { net, x in
            let small = try net.add("max_pool", ["kernel": "2", "stride_w": "2"], from: [x])
            try net.add("conv_transpose", ["channels": "6", "kernel": "2", "stride_w": "2"], from: [small])
            try net.add("add", from: [net.last, x])
            try net.add("relu")
        }
        try add("nchw flatten and linear") { net, x in
            try net.add("flatten", ["order": "nchw"])
            try net.add("linear", ["channels": "13"])
            try net.add("activation", ["function": "leaky_relu", "alpha": "0.1"])
        }
        try add("leaky convolutions") { net, x in
            try net.add("activation", ["function": "leaky_relu", "alpha": "0.3"])
            try net.add("convolution", ["channels": "6", "kernel": "3", "pad": "1"])
            try net.add("add", from: [net.last, x])
            try net.add("activation", ["function": "leaky_relu", "alpha": "-0.5"])
        }
        try add("clipped convolutions") { net, x in
            try net.add("activation", ["function": "clip", "alpha": "0", "beta": "0.4"])
            try net.add("convolution", ["channels": "6", "kernel": "3", "pad": "1", "groups": "6"])
            try net.add("activation", ["function": "clip", "alpha": "0", "beta": "0.4"])
            try net.add("convolution", ["channels": "6", "kernel": "1"])
            try net.add("add", from: [net.last, x])
        }
        return cases
    }
}
