// TorchvisionNames.swift: what torchvision (0.26) calls the layers of the architectures that it shares with us.
// Not here: parameters inside a layer (WeightNames.swift).
import RengaNetwork

/// torchvision's names of layers by ours.
enum TorchvisionNames {
    private static let families = [
        "resnet": residual, "resnext": residual, "vgg": vgg, "squeezenet": squeezeNet,
    ]

    /// The names of all layers that have parameters.
    /// Errors: unsupported, where the network's metadata name no architecture that torchvision has.
    static func layers(_ network: Network) throws(RengaError) -> [String: String] {
        let family = network.metadata["renga.architecture"] ?? ""
        guard let names = families[family] else {
            throw RengaError(
                .unsupported,
                "torchvision's names are known of \(families.keys.sorted().joined(separator: ", ")); this network's architecture is "
                    + "'\(family.prefix(80))'")
        }
        return names(network.nodes.map(\.name))
    }

    /// "stage2.block1.conv1" is "layer2.0.conv1", "stage2.block1.shortcut.conv" is "layer2.0.downsample.0".
    private static func residual(_ layers: [String]) -> [String: String] {
        var names: [String: String] = [:]
        for layer in layers {
            let parts = layer.split(separator: ".")
            if parts.count == 2, parts[0] == "stem" { names[layer] = String(parts[1]) }
            guard parts.count >= 3, let stage = number(parts[0], after: "stage"),
                let block = number(parts[1], after: "block")
            else { continue }
            var inner = String(parts[2])
            if parts.count == 4, inner == "shortcut" { inner = parts[3] == "conv" ? "downsample.0" : "downsample.1" }
            names[layer] = "layer\(stage).\(block - 1).\(inner)"
        }
        return names
    }

    /// The layers of the stages are counted through; of the classifier every third has parameters.
    private static func vgg(_ layers: [String]) -> [String: String] {
        var names = ["fc1": "classifier.0", "fc2": "classifier.3", "fc": "classifier.6"]
        var index = 0
        for layer in layers where layer.hasPrefix("stage") {
            names[layer] = "features.\(index)"
            index += 1
        }
        return names
    }

    /// The stem's layers, the pools and the fire modules are counted through.
    private static func squeezeNet(_ layers: [String]) -> [String: String] {
        var names = ["classifier": "classifier.1"]
        let inFire = ["squeeze": "squeeze", "expand1": "expand1x1", "expand3": "expand3x3"]
        var (index, last) = (-1, "")
        for layer in layers {
            let parts = layer.split(separator: ".")
            let isFire = parts.count == 2 && parts[0].hasPrefix("fire")
            let module = isFire ? String(parts[0]) : layer
            if module != last { index += 1 }
            last = module
            if isFire {
                names[layer] = inFire[String(parts[1])].map { "features.\(index).\($0)" }
            } else if parts[0] == "stem" {
                names[layer] = "features.\(index)"
            }
        }
        return names
    }

    private static func number(_ part: Substring, after prefix: String) -> Int? {
        part.hasPrefix(prefix) ? Int(part.dropFirst(prefix.utf8.count)) : nil
    }
}
