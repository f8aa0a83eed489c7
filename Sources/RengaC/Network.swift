// Network.swift: whole networks: made, loaded, saved, described, rewritten.
// Not here: their numbers one by one (Parameters.swift), layer by layer (Builder.swift).
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

import CRengaAPI
import Renga
import RengaNetwork

@c @implementation
public func renga_operators(_ out_json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> renga_status {
    textOut(out_json, "out_json") { () throws(RengaError) in OperatorTable.listJSONText }
}

@c @implementation
public func renga_architectures(_ out_json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> renga_status {
    textOut(out_json, "out_json") { () throws(RengaError) in try Architectures.listJSONText() }
}

@c @implementation
public func renga_network_create(
    _ architecture: UnsafePointer<CChar>?, _ options: UnsafePointer<CChar>?, _ seed: UInt64,
    _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> renga_status {
    networkOut(out) { () throws(RengaError) in
        let architecture = try text(architecture, "architecture")
        let options = try Attributes(text: try optionalText(options, "options") ?? "")
        return try Architectures.make(architecture, options: options, seed: seed)
    }
}

@c @implementation
public func renga_network_load(
    _ path: UnsafePointer<CChar>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> renga_status {
    networkOut(out) { () throws(RengaError) in try NetworkFile(path: try text(path, "path")).network }
}

@c @implementation
public func renga_network_load_memory(
    _ data: UnsafeRawPointer?, _ size: Int, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> renga_status {
    networkOut(out) { () throws(RengaError) in
        let data = try required(data, "data")
        let size = try count(size, "size", in: 0...Int.max)
        return try NetworkFile(bytes: UnsafeRawBufferPointer(start: data, count: size)).network
    }
}

@c @implementation
public func renga_network_save(_ network: OpaquePointer?, _ path: UnsafePointer<CChar>?) -> renga_status {
    guarded { () throws(RengaError) in
        let network = try object(network, "network", as: NetworkObject.self).value
        try NetworkFile(network).save(to: try text(path, "path"))
    }
}

@c @implementation
public func renga_network_clone(
    _ network: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> renga_status {
    networkOut(out) { () throws(RengaError) in try object(network, "network", as: NetworkObject.self).value }
}

@c @implementation
public func renga_network_free(_ network: OpaquePointer?) {
    freeHandle(network, as: NetworkObject.self)
}

@c @implementation
public func renga_network_info_init(_ info: UnsafeMutablePointer<renga_network_info>?, _ size: Int) {
    prepare(info, size: size, defaults: renga_network_info())
}

@c @implementation
public func renga_network_get_info(
    _ network: OpaquePointer?, _ info: UnsafeMutablePointer<renga_network_info>?
) -> renga_status {
    guarded { () throws(RengaError) in
        try fill(info, "info") { () throws(RengaError) in
            let summary = try NetworkSummary(try object(network, "network", as: NetworkObject.self).value)
            var info = renga_network_info()
            info.parameters = Int64(summary.parameters)
            info.macs = Int64(summary.macs)
            info.layers = Int64(summary.layers.count)
            info.inputs = Int32(summary.inputs.count)
            info.outputs = Int32(summary.outputs.count)
            // Both exist: a network has at least one input and one output.
            if let first = summary.inputs.first { info.input_shape = renga_shape(first.shape) }
            if let first = summary.outputs.first { info.output_shape = renga_shape(first.shape) }
            return info
        }
    }
}

@c @implementation
public func renga_network_describe(
    _ network: OpaquePointer?, _ form: Int32, _ out_text: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> renga_status {
    textOut(out_text, "out_text") { () throws(RengaError) in
        let summary = try NetworkSummary(try object(network, "network", as: NetworkObject.self).value)
        return switch form {
        case Int32(RENGA_DESCRIPTION_TEXT.rawValue): summary.text
        case Int32(RENGA_DESCRIPTION_JSON.rawValue): summary.jsonText
        case Int32(RENGA_DESCRIPTION_DOT.rawValue): summary.dot
        default:
            throw RengaError(.invalidArgument, "form is \(form); expected 0 (text), 1 (JSON) or 2 (Graphviz)")
        }
    }
}

@c @implementation
public func renga_network_fold_batch_norm(
    _ network: OpaquePointer?, _ out: UnsafeMutablePointer<OpaquePointer?>?,
    _ out_report: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> renga_status {
    guarded { () throws(RengaError) in
        out_report?.pointee = nil
        let out = try cleared(out, "out")
        let network = try object(network, "network", as: NetworkObject.self).value
        let (folded, report) = try FoldBatchNorm.apply(network)
        let handle = try makeHandle(try NetworkObject(folded))
        guard let out_report else {
            out.pointee = handle
            return
        }
        do throws(RengaError) {
            out_report.pointee = try copied(report.jsonText)
            out.pointee = handle
        } catch {
            freeHandle(handle, as: NetworkObject.self)
            throw error
        }
    }
}

/// Clears a network out-parameter, then fills it with a handle to what `body` makes.
func networkOut(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ body: () throws(RengaError) -> Network
) -> renga_status {
    guarded { () throws(RengaError) in
        let out = try cleared(out, "out")
        out.pointee = try makeHandle(try NetworkObject(try body()))
    }
}
