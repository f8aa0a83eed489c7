// Files.swift: networks and weights in the files of other programs.
// Not here: Renga's own files (Network.swift).
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

import CRengaAPI
import Renga
import RengaNetwork

@c @implementation
public func renga_network_load_weights(
    _ network: OpaquePointer?, _ path: UnsafePointer<CChar>?, _ names: UnsafePointer<CChar>?
) -> renga_status {
    guarded { () throws(RengaError) in
        let network = try object(network, "network", as: NetworkObject.self)
        let path = try text(path, "path")
        let names = try WeightNames(text: try optionalText(names, "names") ?? "")
        try network.change { (value) throws(RengaError) in
            value = try WeightFile.load(value, from: path, names: names)
        }
    }
}

@c @implementation
public func renga_network_save_weights(
    _ network: OpaquePointer?, _ path: UnsafePointer<CChar>?, _ names: UnsafePointer<CChar>?
) -> renga_status {
    guarded { () throws(RengaError) in
        let network = try object(network, "network", as: NetworkObject.self).value
        let path = try text(path, "path")
        try WeightFile.save(network, to: path, names: try WeightNames(text: try optionalText(names, "names") ?? ""))
    }
}

@c @implementation
public func renga_network_export_onnx(
    _ network: OpaquePointer?, _ path: UnsafePointer<CChar>?, _ options: UnsafePointer<CChar>?
) -> renga_status {
    guarded { () throws(RengaError) in
        let network = try object(network, "network", as: NetworkObject.self).value
        let path = try text(path, "path")
        var options = try ONNXExportOptions(Attributes(text: try optionalText(options, "options") ?? ""))
        options.producerVersion = versionText
        try network.exportONNX(to: path, options: options)
    }
}
