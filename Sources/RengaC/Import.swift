// Import.swift: networks out of other programs' files.
// Not here: how they are read (RengaFormats), Renga's own files (Network.swift).
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

import CRengaAPI
import Renga
import RengaNetwork

@c @implementation
public func renga_network_import_onnx(
    _ path: UnsafePointer<CChar>?, _ options: UnsafePointer<CChar>?, _ out: UnsafeMutablePointer<OpaquePointer?>?,
    _ out_report: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> renga_status {
    importOut(options, out, out_report) { (options) throws(RengaError) in
        try ONNXImport(path: try text(path, "path"), options: options)
    }
}

@c @implementation
public func renga_network_import_onnx_memory(
    _ data: UnsafeRawPointer?, _ size: Int, _ options: UnsafePointer<CChar>?,
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ out_report: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
) -> renga_status {
    importOut(options, out, out_report) { (options) throws(RengaError) in
        let data = try required(data, "data")
        let size = try count(size, "size", in: 0...Int.max)
        return try ONNXImport(bytes: UnsafeRawBufferPointer(start: data, count: size), options: options)
    }
}

/// Clears both out-parameters, imports, and fills them; the report also where the network is refused for what it holds.
private func importOut(
    _ options: UnsafePointer<CChar>?, _ out: UnsafeMutablePointer<OpaquePointer?>?,
    _ out_report: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?,
    _ read: (Attributes) throws(RengaError) -> ONNXImport
) -> renga_status {
    guarded { () throws(RengaError) in
        out_report?.pointee = nil
        let out = try cleared(out, "out")
        let result = try read(try Attributes(text: try optionalText(options, "options") ?? ""))
        let report = try out_report.map { _ throws(RengaError) in try copied(result.reportJSON) }
        do throws(RengaError) {
            out_report?.pointee = report
            out.pointee = try makeHandle(try NetworkObject(try result.get()))
        } catch {
            if result.network != nil {
                out_report?.pointee = nil
                renga_text_free(report)
            }
            throw error
        }
    }
}
